/* SPDX-License-Identifier: Apache-2.0 */
#include "client_socket.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/scoped.h"

static bool is_connected_to(int fd, struct in_addr address, uint16_t port, uint16_t local_port)
{
	struct sockaddr_in peer = { 0 }, local = { 0 };
	socklen_t peer_size = sizeof(peer), local_size = sizeof(local);

	if (getpeername(fd, (struct sockaddr *)&peer, &peer_size) || peer.sin_family != AF_INET)
		return false;
	if (getsockname(fd, (struct sockaddr *)&local, &local_size))
		return false;
	return peer.sin_addr.s_addr == address.s_addr && ntohs(peer.sin_port) == port &&
	       ntohs(local.sin_port) == local_port;
}

int client_socket_find(const char *address, uint16_t port, uint16_t local_port)
{
	scoped_dir DIR *dir = opendir("/proc/self/fd");
	struct in_addr wanted;
	struct dirent *entry;

	if (!dir || inet_pton(AF_INET, address, &wanted) != 1)
		return -1;
	while ((entry = readdir(dir))) {
		int fd = atoi(entry->d_name);

		if (entry->d_name[0] != '.' && is_connected_to(fd, wanted, port, local_port))
			return fd;
	}
	return -1;
}

bool client_socket_is_closed(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLRDHUP };

	return fd >= 0 && poll(&pollfd, 1, 0) > 0 &&
	       (pollfd.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL));
}
