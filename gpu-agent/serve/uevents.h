/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel tells of changes to its devices: a reason to scan, so that what others do to
 * the host is seen at once and not only by the next periodic scan.
 *
 * The kernel's own multicast is listened to, not udev's: events of devices that belong to no
 * network reach every network namespace of the first user namespace, so a service without a
 * network hears them, and nobody needs to run udev. Beside it, or in its place where the tree is
 * not /sys, a datagram socket takes events in the kernel's form from whoever may write to it.
 *
 * An event is believed in nothing but that it is time to look again. Lost or missing ones are
 * made up for by the periodic scan.
 */

#ifndef GPU_AGENT_SERVE_UEVENTS_H
#define GPU_AGENT_SERVE_UEVENTS_H

#include "agent.h"

struct uevents;

struct uevents_options {
	bool kernel;		       /* listen to the kernel */
	const char *socket;	       /* path of the datagram socket; NULL: none */
	const char *const *subsystems; /* that matter, NULL at the end */
};

/* Functions come, go and change drivers; vGPUs and VFIO groups come and go. */
extern const char *const uevents_subsystems[];

/*
 * Before the first scan, so that nothing is missed between. The options' texts stay the caller's
 * and must outlive it. A kernel that cannot be listened to is no failure, but a warning.
 */
int uevents_open(const struct uevents_options *options, struct uevents **ret, struct err *err);
void uevents_close(struct uevents *uevents);
SCOPED_DEFINE(struct uevents *, uevents_close);

/*
 * Waits until an event that matters has come, and takes all that are there. False: stop_fd is
 * readable.
 */
bool uevents_wait(struct uevents *uevents, int stop_fd);

struct uevents_watch {
	struct uevents *uevents; /* borrowed */
	struct agent *agent;	 /* borrowed */
};

/* A thread's function; the argument is a struct uevents_watch. Ends after agent_stop(). */
void *uevents_thread(void *watch);

/* Whether a message in the kernel's form is about one of these subsystems. */
bool uevents_matters(const char *message, size_t size, const char *const *subsystems);

#endif
