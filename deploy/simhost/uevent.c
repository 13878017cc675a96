/* SPDX-License-Identifier: Apache-2.0 */
#include "uevent.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MESSAGE_SIZE 1024 /* three times a path of event.h, and words */

int uevent_sender_open(struct uevent_sender *sender, const char *path, struct err *err)
{
	struct sockaddr_un address;

	if (strlen(path) >= sizeof(address.sun_path))
		return err_field(err, "uevent-socket",
				 "uevent-socket is '%s', must be a path of at most %zu bytes", path,
				 sizeof(address.sun_path) - 1);
	*sender = (struct uevent_sender){
		.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0),
		.path = path,
	};
	return sender->fd < 0 ? err_sys(err, errno, "cannot make a socket") : 0;
}

void uevent_sender_close(struct uevent_sender *sender)
{
	if (sender->fd >= 0)
		close(sender->fd);
	*sender = UEVENT_SENDER_NONE;
}

void uevent_send(struct uevent_sender *sender, const char *action, const char *subsystem,
		 const char *devpath)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char message[MESSAGE_SIZE];
	int length;

	if (sender->fd < 0)
		return;
	strcpy(address.sun_path, sender->path);
	length = snprintf(message, sizeof(message),
			  "%s@%s%cACTION=%s%cDEVPATH=%s%cSUBSYSTEM=%s%cSEQNUM=%" PRIu64, action,
			  devpath, '\0', action, '\0', devpath, '\0', subsystem, '\0',
			  ++sender->sequence);
	(void)sendto(sender->fd, message, (size_t)length + 1, MSG_DONTWAIT | MSG_NOSIGNAL,
		     (const struct sockaddr *)&address, sizeof(address));
}
