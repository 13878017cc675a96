/* SPDX-License-Identifier: Apache-2.0 */
#include "tcp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/scoped.h"

#define BACKLOG 128

/* Seconds without a word before the other end is asked, between questions, and how many. */
#define KEEPALIVE_IDLE	   60
#define KEEPALIVE_INTERVAL 15
#define KEEPALIVE_COUNT	   4
#define UNANSWERED_MS	   (120 * 1000)

static int refuse(const char *address, struct err *err)
{
	return err_field(err, "address",
			 "'%s' is no address to listen at, must be like 192.0.2.1:7443 or "
			 "[2001:db8::1]:7443",
			 address);
}

static int resolve(const char *address, struct addrinfo **ret, struct err *err)
{
	const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
	};
	const char *port = strrchr(address, ':');
	bool in_brackets = address[0] == '[' && port && port > address && port[-1] == ']';
	char host[INET6_ADDRSTRLEN + 16]; /* and a zone */
	size_t size;

	if (!port || !port[1] || port == address)
		return refuse(address, err);
	size = (size_t)(port - address) - (in_brackets ? 2 : 0);
	if (size >= sizeof(host) || size == 0)
		return refuse(address, err);
	memcpy(host, address + in_brackets, size);
	host[size] = '\0';
	if (in_brackets != (strchr(host, ':') != NULL) || getaddrinfo(host, port + 1, &hints, ret))
		return refuse(address, err);
	return 0;
}

int tcp_listen(const char *address, struct err *err)
{
	struct addrinfo *info;
	scoped_fd int fd = -1;
	const int on = 1;
	int r = -1;

	if (resolve(address, &info, err))
		return -1;
	fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
	    bind(fd, info->ai_addr, info->ai_addrlen) == 0)
		r = listen(fd, BACKLOG);
	freeaddrinfo(info);
	if (r < 0)
		return err_sys(err, errno, "cannot listen at %s", address);
	return TAKE_FD(fd);
}

int tcp_port(int fd)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);

	if (getsockname(fd, (struct sockaddr *)&address, &size) < 0)
		return -errno;
	if (address.ss_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)&address)->sin6_port);
	return ntohs(((const struct sockaddr_in *)&address)->sin_port);
}

static void fill_source(const struct sockaddr_storage *from, struct tcp_source *ret)
{
	const struct sockaddr_in *ip4 = (const struct sockaddr_in *)from;
	const struct sockaddr_in6 *ip6 = (const struct sockaddr_in6 *)from;
	char text[INET6_ADDRSTRLEN] = "";
	struct in_addr plain;

	*ret = (struct tcp_source){ 0 };
	if (from->ss_family == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(&ip6->sin6_addr)) {
		memcpy(&ret->network, &ip6->sin6_addr, 8); /* one host has all of a /64 */
		inet_ntop(AF_INET6, &ip6->sin6_addr, text, sizeof(text));
		snprintf(ret->text, sizeof(ret->text), "[%s]:%u", text, ntohs(ip6->sin6_port));
		return;
	}
	plain = ip4->sin_addr;
	if (from->ss_family == AF_INET6) /* the port is at the same place in both */
		memcpy(&plain, &ip6->sin6_addr.s6_addr[12], sizeof(plain));
	memset(&ret->network.s6_addr[10], 0xff, 2);
	memcpy(&ret->network.s6_addr[12], &plain, sizeof(plain));
	inet_ntop(AF_INET, &plain, text, sizeof(text));
	snprintf(ret->text, sizeof(ret->text), "%s:%u", text, ntohs(ip4->sin_port));
}

static void set_option(int fd, int level, int name, int value)
{
	/* Without it the connection works too, only it may live on when its other end is gone. */
	(void)setsockopt(fd, level, name, &value, sizeof(value));
}

int tcp_accept(int listen_fd, struct tcp_source *ret_source)
{
	struct sockaddr_storage from;
	socklen_t size = sizeof(from);
	int fd = accept4(listen_fd, (struct sockaddr *)&from, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return -errno;
	fill_source(&from, ret_source);
	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE);
	set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL);
	set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT);
	set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, UNANSWERED_MS);
	return fd;
}

bool tcp_source_equal(const struct tcp_source *a, const struct tcp_source *b)
{
	return memcmp(&a->network, &b->network, sizeof(a->network)) == 0;
}
