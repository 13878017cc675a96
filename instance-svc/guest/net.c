/* SPDX-License-Identifier: Apache-2.0 */
#include "net.h"

#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/scoped.h"
#include "config.h"

static struct ifreq request_for(const char *name)
{
	struct ifreq request = { 0 };

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%.*s", IFNAMSIZ - 1, name);
	return request;
}

static void address_store(struct sockaddr *to, struct in_addr address)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = address };

	memcpy(to, &in, sizeof(in));
}

static bool is_ethernet(int fd, const char *name)
{
	struct ifreq request = request_for(name);

	return ioctl(fd, SIOCGIFHWADDR, &request) == 0 &&
	       request.ifr_hwaddr.sa_family == ARPHRD_ETHER;
}

/* The first by name, so that eth0 comes before a second one. */
static bool ethernet_find(int fd, char ret[IFNAMSIZ])
{
	scoped_dir DIR *dir = opendir("/sys/class/net");
	struct dirent *entry;

	ret[0] = '\0';
	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || strlen(entry->d_name) >= IFNAMSIZ ||
		    !is_ethernet(fd, entry->d_name))
			continue;
		if (ret[0] == '\0' || strcmp(entry->d_name, ret) < 0)
			snprintf(ret, IFNAMSIZ, "%.*s", IFNAMSIZ - 1, entry->d_name);
	}
	return ret[0] != '\0';
}

static int link_up(int fd, const char *name, struct err *err)
{
	struct ifreq request = request_for(name);

	if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		return err_sys(err, errno, "cannot read the flags of %s", name);
	request.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		return err_sys(err, errno, "cannot bring %s up", name);
	return 0;
}

static int address_set(int fd, const char *name, const struct guest_config *config, struct err *err)
{
	struct ifreq request = request_for(name);

	address_store(&request.ifr_addr, config->ip);
	if (ioctl(fd, SIOCSIFADDR, &request) < 0)
		return err_sys(err, errno, "cannot set the address of %s", name);
	address_store(&request.ifr_netmask, config->netmask);
	if (ioctl(fd, SIOCSIFNETMASK, &request) < 0)
		return err_sys(err, errno, "cannot set the netmask of %s", name);
	return 0;
}

static int route_add(int fd, struct in_addr gateway, struct err *err)
{
	struct rtentry route = { .rt_flags = RTF_UP | RTF_GATEWAY };

	address_store(&route.rt_dst, (struct in_addr){ 0 });
	address_store(&route.rt_genmask, (struct in_addr){ 0 });
	address_store(&route.rt_gateway, gateway);
	if (ioctl(fd, SIOCADDRT, &route) < 0)
		return err_sys(err, errno, "cannot set the default route");
	return 0;
}

int net_configure(const struct guest_config *config, struct err *err)
{
	scoped_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char name[IFNAMSIZ];

	if (fd < 0)
		return err_sys(err, errno, "cannot configure the network");
	if (link_up(fd, "lo", err) < 0)
		return -1;
	if (!config->has_network)
		return 0;
	if (!ethernet_find(fd, name))
		return err_set(err, ERR_NOT_FOUND, "no Ethernet device for the configured ip");
	if (address_set(fd, name, config, err) < 0 || link_up(fd, name, err) < 0)
		return -1;
	return config->gateway.s_addr == 0 ? 0 : route_add(fd, config->gateway, err);
}
