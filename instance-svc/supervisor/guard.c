/* SPDX-License-Identifier: Apache-2.0 */
#include "guard.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/scoped.h"

static const struct {
	const char *address;
	unsigned prefix;
} always_closed[] = {
	{ "169.254.0.0", 16 },	   /* metadata services: 169.254.169.254 and others */
	{ "fd00:ec2::254", 128 },  /* Amazon's over IPv6 */
	{ "fd20:ce::254", 128 },   /* Google's over IPv6 */
	{ "100.100.100.200", 32 }, /* Alibaba's */
};

int guard_list_host(char *text, size_t size, struct err *err)
{
	struct ifaddrs *list;
	size_t used = 0;

	if (getifaddrs(&list) < 0)
		return err_sys(err, errno, "cannot list the addresses of the host");
	text[0] = '\0';
	for (const struct ifaddrs *i = list; i; i = i->ifa_next) {
		char address[INET6_ADDRSTRLEN];
		const void *bytes;

		if (!i->ifa_addr)
			continue;
		if (i->ifa_addr->sa_family == AF_INET)
			bytes = &((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr;
		else if (i->ifa_addr->sa_family == AF_INET6)
			bytes = &((const struct sockaddr_in6 *)(const void *)i->ifa_addr)
					 ->sin6_addr;
		else
			continue;
		inet_ntop(i->ifa_addr->sa_family, bytes, address, sizeof(address));
		if (used + strlen(address) + 2 > size) {
			freeifaddrs(list);
			return err_set(err, ERR_INTERNAL, "the host has too many addresses");
		}
		used += (size_t)snprintf(text + used, size - used, "%s ", address);
	}
	freeifaddrs(list);
	return 0;
}

/* Loopback needs no route: the namespace has one of its own. */
static bool is_loopback(const struct guard_range *range)
{
	if (range->family == AF_INET)
		return range->address[0] == 127;
	return IN6_IS_ADDR_LOOPBACK((const struct in6_addr *)(const void *)range->address);
}

static int parse_address(const char *text, struct guard_range *range)
{
	memset(range, 0, sizeof(*range));
	range->family = strchr(text, ':') ? AF_INET6 : AF_INET;
	range->prefix = range->family == AF_INET6 ? 128 : 32;
	return inet_pton(range->family, text, range->address) == 1 ? 0 : -EINVAL;
}

int guard_parse(const char *text, struct guard_range *ranges, size_t max, struct err *err)
{
	size_t count = 0;

	while (*text) {
		size_t length = strcspn(text, " ");
		char address[INET6_ADDRSTRLEN + 1];

		snprintf(address, sizeof(address), "%.*s", (int)length, text);
		if (count + sizeof(always_closed) / sizeof(always_closed[0]) >= max ||
		    length >= sizeof(address) || parse_address(address, &ranges[count]) < 0)
			return err_set(err, ERR_INVALID_ARGUMENT,
				       "'%.64s' is no address, or one too many", text);
		if (!is_loopback(&ranges[count]))
			count++;
		text += length + (text[length] == ' ');
	}
	for (size_t i = 0; i < sizeof(always_closed) / sizeof(always_closed[0]); i++) {
		if (parse_address(always_closed[i].address, &ranges[count]) < 0)
			return err_set(err, ERR_INTERNAL, "the guard's own list is wrong");
		ranges[count++].prefix = always_closed[i].prefix;
	}
	return (int)count;
}

struct route_request {
	struct nlmsghdr header;
	struct rtmsg route;
	char attributes[64];
};

static void build_request(const struct guard_range *range, struct route_request *request)
{
	size_t bytes = range->family == AF_INET ? 4 : 16;
	struct rtattr *attribute;

	memset(request, 0, sizeof(*request));
	request->header.nlmsg_type = RTM_NEWROUTE;
	request->header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
	request->route.rtm_family = (unsigned char)range->family;
	request->route.rtm_dst_len = (unsigned char)range->prefix;
	request->route.rtm_table = RT_TABLE_MAIN;
	request->route.rtm_protocol = RTPROT_STATIC;
	request->route.rtm_scope = RT_SCOPE_UNIVERSE;
	request->route.rtm_type = RTN_UNREACHABLE;
	attribute = (struct rtattr *)(void *)request->attributes;
	attribute->rta_type = RTA_DST;
	attribute->rta_len = (unsigned short)RTA_LENGTH(bytes);
	memcpy(RTA_DATA(attribute), range->address, bytes);
	request->header.nlmsg_len =
		(unsigned)(NLMSG_LENGTH(sizeof(request->route)) + RTA_ALIGN(attribute->rta_len));
}

/* 0 or -errno, as the kernel answered. */
static int add_route(int fd, const struct guard_range *range)
{
	struct route_request request;
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		char rest[256];
	} reply = { 0 };
	ssize_t n;

	build_request(range, &request);
	if (send(fd, &request, request.header.nlmsg_len, 0) < 0)
		return -errno;
	n = recv(fd, &reply, sizeof(reply), 0);
	if (n < 0)
		return -errno;
	if ((size_t)n < NLMSG_LENGTH(sizeof(reply.error)) || reply.header.nlmsg_type != NLMSG_ERROR)
		return -EPROTO;
	return reply.error.error;
}

int guard_close(const struct guard_range *ranges, size_t count, struct err *err)
{
	scoped_fd int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		return err_sys(err, errno, "cannot change the routes");
	for (size_t i = 0; i < count; i++) {
		int r = add_route(fd, &ranges[i]);
		char address[INET6_ADDRSTRLEN];

		/* Without IPv6 there is nothing to close. */
		if (ranges[i].family == AF_INET6 && (r == -EOPNOTSUPP || r == -EAFNOSUPPORT))
			continue;
		if (r < 0) {
			inet_ntop(ranges[i].family, ranges[i].address, address, sizeof(address));
			return err_sys(err, r, "cannot make %s/%u unreachable", address,
				       ranges[i].prefix);
		}
	}
	return 0;
}

int guard_main(int argc, char **argv)
{
	struct guard_range ranges[GUARD_RANGES_MAX];
	struct err err;
	int count;

	if (argc < 4) {
		log_error("usage: %s guard-network \"ADDRESS...\" PROGRAM [ARGUMENT...]", argv[0]);
		return 2;
	}
	count = guard_parse(argv[2], ranges, GUARD_RANGES_MAX, &err);
	if (count < 0 || guard_close(ranges, (size_t)count, &err) < 0) {
		log_error("%s", err.message);
		return 1;
	}
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* nothing left behind when pasta is killed */
	execvp(argv[3], argv + 3);
	log_error("cannot execute %s: %s", argv[3], strerror(errno));
	return 127;
}
