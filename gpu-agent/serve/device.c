/* SPDX-License-Identifier: Apache-2.0 */
#include "device.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <uuid/uuid.h>

#include "clock.h"
#include "common/log.h"
#include "passthrough.h"

/* ---- Names -------------------------------------------------------------------------- */

static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";

int device_check_name(const char *field, const char *name, struct err *err)
{
	size_t length = strlen(name);
	uuid_t uuid;

	if (length >= REGISTRY_NAME_MAX)
		return err_field(err, field, "%s has %zu bytes, must have at most %d", field,
				 length, REGISTRY_NAME_MAX - 1);
	if (length < 2 || strchr("_.-", name[0]) || strspn(name, letters) != length)
		return err_field(
			err, field,
			"%s is '%s', must be at least two letters, digits, '_', '.' or '-', the first a letter or digit",
			field, name);
	if (strcmp(name, "available") == 0 || uuid_parse(name, uuid) == 0)
		return err_field(err, field,
				 "%s is '%s', which is reserved: it reads as something else", field,
				 name);
	return 0;
}

static void default_name(struct pci_addr address, char name[REGISTRY_NAME_MAX])
{
	snprintf(name, REGISTRY_NAME_MAX, "pci-%s", PCI_STR(address));
	for (char *c = name; *c; c++)
		if (*c == ':' || *c == '.')
			*c = '-';
}

/* ---- Finding ------------------------------------------------------------------------ */

struct device *device_find_locked(struct agent *agent, const char *key, struct err *err)
{
	struct device *found = NULL;
	size_t length = strlen(key), matches = 0;

	for (size_t i = 0; i < agent->device_count; i++) {
		struct device *device = &agent->devices[i];

		if (strcmp(device->id, key) == 0 || strcmp(device->name, key) == 0)
			return device;
		if (length && strncmp(device->id, key, length) == 0) {
			found = device;
			matches++;
		}
	}
	if (matches == 1)
		return found;
	if (matches)
		err_set(err, ERR_AMBIGUOUS, "'%s' is the beginning of %zu devices' ids", key,
			matches);
	else
		err_set(err, ERR_DEVICE_NOT_FOUND, "no device '%s' is registered", key);
	return NULL;
}

static const struct lease *find_user_locked(const struct agent *agent, const struct device *device)
{
	for (size_t i = 0; i < agent->lease_count; i++)
		if (pci_addr_compare(agent->leases[i]->allocation.slot, device->address) == 0)
			return agent->leases[i];
	return NULL;
}

static void describe_locked(const struct agent *agent, const struct device *device,
			    struct device_state *ret)
{
	const struct function *function = functions_find(agent->functions, device->address);
	const struct lease *user = find_user_locked(agent, device);

	*ret = (struct device_state){
		.device = *device,
		.iommu_group = function ? function->iommu_group : OPS_NO_GROUP,
		.bound_to_vfio = function && function->has_vfio_dev,
		.attached = user != NULL,
	};
	if (user)
		strcpy(ret->attached_to, user->allocation.owner);
}

int device_get(struct agent *agent, const char *key, struct device_state *ret, struct err *err)
{
	const struct device *device;

	pthread_mutex_lock(&agent->lock);
	device = device_find_locked(agent, key, err);
	if (device)
		describe_locked(agent, device, ret);
	pthread_mutex_unlock(&agent->lock);
	return device ? 0 : -1;
}

int device_list(struct agent *agent, size_t skip, size_t max, struct device_state **ret,
		bool *ret_more)
{
	struct device_state *list = calloc(max + 1, sizeof(*list));
	size_t count = 0;

	if (!list)
		return -ENOMEM;
	pthread_mutex_lock(&agent->lock);
	for (size_t i = skip; i < agent->device_count && count < max; i++)
		describe_locked(agent, &agent->devices[i], &list[count++]);
	*ret_more = skip + count < agent->device_count;
	pthread_mutex_unlock(&agent->lock);
	*ret = list;
	return (int)count;
}

static bool is_registered_locked(const struct agent *agent, struct pci_addr address)
{
	for (size_t i = 0; i < agent->device_count; i++)
		if (pci_addr_compare(agent->devices[i].address, address) == 0)
			return true;
	return false;
}

static int refuse_not_ready(struct err *err)
{
	return err_set(err, ERR_INVENTORY_NOT_READY,
		       "the first scan of this host's GPUs has not ended yet");
}

int device_list_available(struct agent *agent, struct function **ret, struct err *err)
{
	struct function *list = NULL;
	int count = 0;

	pthread_mutex_lock(&agent->lock);
	if (!agent->functions || !agent->inventory)
		count = refuse_not_ready(err);
	else if (!(list = calloc(agent->functions->count + 1, sizeof(*list))))
		count = err_sys(err, ENOMEM, "cannot list the devices");
	for (size_t i = 0; list && i < agent->functions->count; i++) {
		const struct function *function = &agent->functions->items[i];

		if (!is_registered_locked(agent, function->address) &&
		    passthrough_is_available_locked(agent, function->address))
			list[count++] = *function;
	}
	pthread_mutex_unlock(&agent->lock);
	*ret = list;
	return count;
}

/* ---- Registering -------------------------------------------------------------------- */

static int check_new_locked(const struct agent *agent, const struct device *device, struct err *err)
{
	for (size_t i = 0; i < agent->device_count; i++) {
		const struct device *known = &agent->devices[i];

		if (pci_addr_compare(known->address, device->address) == 0)
			return err_set(err, ERR_DEVICE_REGISTERED, "%s is registered as '%s'",
				       PCI_STR(known->address), known->name);
		if (strcmp(known->name, device->name) == 0)
			return err_set(err, ERR_NAME_TAKEN, "'%s' is the name of %s", known->name,
				       PCI_STR(known->address));
	}
	return 0;
}

/* Looks the function up, and makes room for it. */
static int prepare_locked(struct agent *agent, struct device *device, struct err *err)
{
	const struct function *function = functions_find(agent->functions, device->address);
	struct device *grown;

	if (!agent->functions)
		return refuse_not_ready(err);
	if (!function)
		return err_set(err, ERR_PCI_DEVICE_NOT_FOUND,
			       "this host has nothing at %s that the setting device-class names, "
			       "by default a GPU, or that is in the IOMMU group of such a device",
			       PCI_STR(device->address));
	if (function->is_virtual)
		return err_field(
			err, "device.pci_address",
			"device.pci_address is '%s', a virtual function: ask for a vGPU profile instead",
			PCI_STR(device->address));
	if (check_new_locked(agent, device, err))
		return -1;
	grown = realloc(agent->devices, (agent->device_count + 1) * sizeof(*grown));
	if (!grown)
		return err_sys(err, ENOMEM, "cannot keep the device");
	agent->devices = grown;
	device->vendor_id = function->vendor;
	device->device_id = function->device;
	device->type = function->is_gpu ? DEVICE_GPU : DEVICE_PCI;
	return 0;
}

static int add(struct agent *agent, struct device *device, struct device_state *ret,
	       struct err *err)
{
	int r;

	pthread_mutex_lock(&agent->lock);
	r = prepare_locked(agent, device, err);
	pthread_mutex_unlock(&agent->lock);
	if (r || registry_add_device(agent->records, device, err))
		return -1;
	pthread_mutex_lock(&agent->lock);
	agent->devices[agent->device_count++] = *device;
	describe_locked(agent, device, ret);
	pthread_mutex_unlock(&agent->lock);
	return 0;
}

int device_register(struct agent *agent, struct pci_addr address, const char *name,
		    struct device_state *ret, struct err *err)
{
	struct device device = { .address = address, .create_time_ms = clock_realtime_ms() };
	uuid_t uuid;
	int r;

	if (name[0] && device_check_name("device.name", name, err))
		return -1;
	if (name[0])
		strcpy(device.name, name);
	else
		default_name(address, device.name);
	uuid_generate_random(uuid);
	uuid_unparse_lower(uuid, device.id);
	pthread_mutex_lock(&agent->registry_lock);
	r = add(agent, &device, ret, err);
	pthread_mutex_unlock(&agent->registry_lock);
	if (r == 0)
		log_info("registered %s as '%s'", PCI_STR(address), device.name);
	return r;
}

/* Marks it, so that no create takes it while the database is written. */
static int begin_leaving(struct agent *agent, const char *key, struct device *ret, struct err *err)
{
	const struct lease *user = NULL;
	struct device *device;

	pthread_mutex_lock(&agent->lock);
	device = device_find_locked(agent, key, err);
	user = device ? find_user_locked(agent, device) : NULL;
	if (user)
		err_set(err, ERR_DEVICE_ATTACHED, "device '%s' is attached to '%s'", device->name,
			user->allocation.owner);
	if (device && !user) {
		device->leaving = true;
		*ret = *device;
	}
	pthread_mutex_unlock(&agent->lock);
	return device && !user ? 0 : -1;
}

static void end_leaving_locked(struct agent *agent, const char *id, bool gone)
{
	size_t i = 0;

	while (strcmp(agent->devices[i].id, id) != 0)
		i++;
	agent->devices[i].leaving = false;
	if (!gone)
		return;
	memmove(&agent->devices[i], &agent->devices[i + 1],
		(agent->device_count - i - 1) * sizeof(*agent->devices));
	agent->device_count--;
}

int device_unregister(struct agent *agent, const char *key, struct err *err)
{
	struct device device;
	int r;

	pthread_mutex_lock(&agent->registry_lock);
	r = begin_leaving(agent, key, &device, err);
	if (r == 0) {
		r = registry_remove_device(agent->records, device.id, err);
		pthread_mutex_lock(&agent->lock);
		end_leaving_locked(agent, device.id, r == 0);
		pthread_mutex_unlock(&agent->lock);
	}
	pthread_mutex_unlock(&agent->registry_lock);
	if (r == 0)
		log_info("unregistered '%s' (%s)", device.name, PCI_STR(device.address));
	return r;
}
