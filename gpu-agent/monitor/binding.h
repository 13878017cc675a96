/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A GPU whose functions root moved to vfio-pci, as an entry of root's journal remembers it.
 *
 * The entry is written before the first write to the kernel, so it knows the driver of each
 * function whatever became of the writer: giving the drivers back finishes what a killed bind or
 * restore left half done.
 */

#ifndef GPU_AGENT_MONITOR_BINDING_H
#define GPU_AGENT_MONITOR_BINDING_H

#include "host.h"
#include "journal.h"

enum binding_state {
	BINDING_GONE = 0,  /* there is no such GPU on this host (any more) */
	BINDING_HALF = 1,  /* some function lacks its VFIO driver */
	BINDING_BOUND = 2, /* each has it */
};

/* By the driver links alone: it does not wait for a device in transition. Or -errno. */
int binding_state(const struct host *host, const struct journal_entry *entry);

/* Whether function n belongs to it; address of function n. */
struct pci_addr binding_address(const struct journal_entry *entry, int function);

/* 0 or -errno of the first that failed; earlier ones stay moved. *ret_failed is that one. */
int binding_move(const struct host *host, const struct journal_entry *entry,
		 struct pci_addr *ret_failed);

/*
 * Takes vfio-pci away from each function. A host driver cannot have any of them before: while the
 * group has an owner, even our own claim of its node, the kernel lets no host driver probe. 0 or
 * the first -errno.
 */
int binding_release(const struct host *host, const struct journal_entry *entry,
		    struct pci_addr *ret_failed);

/*
 * Each function gets exactly the driver it had, or none, and loses its override. A function that
 * somebody else gave a third driver is left to them. All are tried; 0 or the first -errno.
 */
int binding_give_back(const struct host *host, const struct journal_entry *entry,
		      struct pci_addr *ret_failed);

/* Each has the driver it had, without an override: nothing is left to do. 1, 0 or -errno. */
int binding_is_undone(const struct host *host, const struct journal_entry *entry);

#endif
