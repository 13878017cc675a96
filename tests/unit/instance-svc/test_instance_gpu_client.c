/* SPDX-License-Identifier: Apache-2.0 */
/* Against an agent of ours on a real socket: what it answers is put together here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/rpc/rpc.h"
#include "gpu_proto_descriptor_set.h"
#include "hypeman/gpu/v1/gpu_service.pb-c.h"
#include "instance-svc/gpu_client.h"

#define ID	"aa618089-8b16-4d01-a136-25a0f3c73123"
#define REQUEST "bb618089-8b16-4d01-a136-25a0f3c73123"

typedef Hypeman__Gpu__V1__Allocation wire_allocation;

struct agent {
	wire_allocation allocation; /* the answer to a creation */
	enum err_reason refusal;    /* or this, */
	const char *refused_field;  /* which names this one first */
	size_t pages;		    /* of lists, one allocation each */
	size_t listed, deleted;
	char profile[64], device[64];
	uint32_t gid;
};

struct fixture {
	char folder[64], path[96];
	struct agent agent;
	struct rpc_server *server;
	struct gpu_client *client;
	struct err err;
};

static int create(struct rpc_call *call, const ProtobufCMessage *message, void *user,
		  struct err *err)
{
	const Hypeman__Gpu__V1__CreateAllocationRequest *request =
		(const Hypeman__Gpu__V1__CreateAllocationRequest *)message;
	Hypeman__Gpu__V1__CreateAllocationResponse response =
		HYPEMAN__GPU__V1__CREATE_ALLOCATION_RESPONSE__INIT;
	struct agent *agent = user;

	if (agent->refused_field) {
		err_set(err, agent->refusal, "%s is 'H100', not vgpu.profile",
			agent->refused_field);
		snprintf(err->field, sizeof(err->field), "%s", agent->refused_field);
		return -1;
	}
	if (agent->refusal != ERR_NONE)
		return err_set(err, agent->refusal, "no");
	if (request->vgpu)
		snprintf(agent->profile, sizeof(agent->profile), "%s", request->vgpu->profile);
	if (request->device)
		snprintf(agent->device, sizeof(agent->device), "%s", request->device->device);
	agent->gid = request->grant_gid;
	response.allocation = &agent->allocation;
	return rpc_call_send(call, &response.base);
}

static int delete (struct rpc_call *call, const ProtobufCMessage *message, void *user,
		   struct err *err)
{
	const Hypeman__Gpu__V1__DeleteAllocationResponse response =
		HYPEMAN__GPU__V1__DELETE_ALLOCATION_RESPONSE__INIT;
	struct agent *agent = user;

	(void)message;
	if (agent->refusal != ERR_NONE)
		return err_set(err, agent->refusal, "no");
	agent->deleted++;
	return rpc_call_send(call, &response.base);
}

static int list(struct rpc_call *call, const ProtobufCMessage *message, void *user, struct err *err)
{
	const Hypeman__Gpu__V1__ListAllocationsRequest *request =
		(const Hypeman__Gpu__V1__ListAllocationsRequest *)message;
	Hypeman__Gpu__V1__ListAllocationsResponse response =
		HYPEMAN__GPU__V1__LIST_ALLOCATIONS_RESPONSE__INIT;
	struct agent *agent = user;
	wire_allocation *one = &agent->allocation;
	size_t page = strtoul(request->page_token, NULL, 10);
	char next[16] = "";

	(void)err;
	response.n_allocations = 1;
	response.allocations = &one;
	if (page + 1 < agent->pages)
		snprintf(next, sizeof(next), "%zu", page + 1);
	response.next_page_token = next;
	agent->listed++;
	return rpc_call_send(call, &response.base);
}

/* Two GPUs of a kind, the first one with a registration that is attached; one of another. */
static int get_host(struct rpc_call *call, const ProtobufCMessage *message, void *user,
		    struct err *err)
{
	static char kind[] = "NVIDIA L40S", other[] = "NVIDIA A16", unregistered[] = "NVIDIA T4",
		    first[] = "0000:82:00.0", second[] = "0000:83:00.0", third[] = "0000:84:00.0";
	Hypeman__Gpu__V1__PhysicalGpu gpus[4];
	Hypeman__Gpu__V1__PhysicalGpu *pointers[4];
	Hypeman__Gpu__V1__GetHostResponse response = HYPEMAN__GPU__V1__GET_HOST_RESPONSE__INIT;

	(void)message;
	(void)user;
	(void)err;
	for (size_t i = 0; i < 4; i++) {
		hypeman__gpu__v1__physical_gpu__init(&gpus[i]);
		pointers[i] = &gpus[i];
	}
	gpus[0].name = gpus[1].name = kind;
	gpus[2].name = other;
	gpus[3].name = unregistered;
	gpus[0].pci_address = first;
	gpus[1].pci_address = second;
	gpus[2].pci_address = third;
	response.n_physical_gpus = 4;
	response.physical_gpus = pointers;
	return rpc_call_send(call, &response.base);
}

/* A page each. */
static int list_devices(struct rpc_call *call, const ProtobufCMessage *message, void *user,
			struct err *err)
{
	static char ids[3][37] = { ID, REQUEST, "cc618089-8b16-4d01-a136-25a0f3c73123" };
	static char names[3][8] = { "gpu-0", "gpu-1", "gpu-2" };
	static char addresses[3][16] = { "0000:82:00.0", "0000:83:00.0", "0000:84:00.0" };
	static char owner[] = "instance x", next[] = "1", last[] = "2", none[] = "";
	const Hypeman__Gpu__V1__ListDevicesRequest *request =
		(const Hypeman__Gpu__V1__ListDevicesRequest *)message;
	Hypeman__Gpu__V1__ListDevicesResponse response =
		HYPEMAN__GPU__V1__LIST_DEVICES_RESPONSE__INIT;
	Hypeman__Gpu__V1__Device device = HYPEMAN__GPU__V1__DEVICE__INIT;
	Hypeman__Gpu__V1__Device *one = &device;
	size_t page = strtoul(request->page_token, NULL, 10);

	(void)user;
	(void)err;
	device.id = ids[page];
	device.name = names[page];
	device.pci_address = addresses[page];
	if (page == 0) {
		device.attached_to_opt_case = HYPEMAN__GPU__V1__DEVICE__ATTACHED_TO_OPT_ATTACHED_TO;
		device.attached_to = owner;
	}
	response.n_devices = 1;
	response.devices = &one;
	response.next_page_token = page == 0 ? next : page == 1 ? last : none;
	return rpc_call_send(call, &response.base);
}

static const struct rpc_method methods[] = {
	{ "CreateAllocation", 1, create, 0 },  { "DeleteAllocation", 1, delete, 0 },
	{ "ListAllocations", 1, list, 0 },     { "GetHost", 1, get_host, 0 },
	{ "ListDevices", 1, list_devices, 0 }, { NULL, 0, NULL, 0 },
};

static wire_allocation good_allocation(void)
{
	static char id[] = ID, request[] = REQUEST, profile[] = "L40S-1Q",
		    address[] = "0000:41:00.4", node[] = "/dev/vfio/36",
		    path[] = "/sys/bus/mdev/devices/" ID;
	wire_allocation allocation = HYPEMAN__GPU__V1__ALLOCATION__INIT;

	allocation.id = allocation.mdev_uuid = id;
	allocation.request_id = request;
	allocation.state = HYPEMAN__GPU__V1__ALLOCATION__STATE__STATE_READY;
	allocation.profile = profile;
	allocation.framebuffer_mb = 1024;
	allocation.pci_address = address;
	allocation.device_node = node;
	allocation.sysfs_path = path;
	return allocation;
}

static int set_up_process(void **state)
{
	struct err err;

	(void)state;
	return rpc_global_init(&err);
}

static int tear_down_process(void **state)
{
	(void)state;
	rpc_global_done();
	return 0;
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const struct rpc_peer peer = { .name = "test", .uid = geteuid(), .roles = 1 };

	snprintf(f->folder, sizeof(f->folder), "/tmp/gpu-client-test-XXXXXX");
	if (!mkdtemp(f->folder))
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/sock", f->folder);
	f->agent.allocation = good_allocation();
	f->agent.pages = 1;
	f->server = rpc_server_new(NULL);
	f->client = gpu_client_new(f->path, geteuid());
	*state = f;
	if (rpc_server_add_descriptors(f->server, gpu_proto_descriptor_set,
				       gpu_proto_descriptor_set_size, &f->err) < 0 ||
	    rpc_server_add_service(f->server, &hypeman__gpu__v1__gpu_service__descriptor, methods,
				   &f->agent, &f->err) < 0 ||
	    rpc_server_add_peer(f->server, &peer, &f->err) < 0 ||
	    rpc_server_listen_unix(f->server, f->path, 0600, &f->err) < 0)
		return -1;
	return rpc_server_start(f->server, &f->err);
}

static void stop_server(struct fixture *f)
{
	if (f->server)
		rpc_server_stop(f->server, 1000);
	rpc_server_free(f->server);
	f->server = NULL;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[96];

	gpu_client_free(f->client);
	stop_server(f);
	snprintf(command, sizeof(command), "rm -rf %s", f->folder);
	(void)!system(command);
	free(f);
	return 0;
}

static int reserve(struct fixture *f, struct gpu_lease *lease)
{
	const struct gpu_wish wish = { .profile = "L40S-1Q" };

	return gpu_client_reserve(f->client, REQUEST, "instance x", &wish, 300001, lease, &f->err);
}

static void a_reservation_becomes_a_lease(void **state)
{
	struct fixture *f = *state;
	struct gpu_lease lease;

	assert_int_equal(reserve(f, &lease), 0);
	assert_string_equal(f->agent.profile, "L40S-1Q");
	assert_int_equal(f->agent.gid, 300001);
	assert_string_equal(lease.id.s, ID);
	assert_string_equal(lease.mdev_uuid.s, ID);
	assert_string_equal(lease.pci_address, "0000:41:00.4");
	assert_string_equal(lease.sysfs_path, "/sys/bus/mdev/devices/" ID);
	assert_int_equal(lease.framebuffer_mb, 1024);
	assert_false(lease.simulated);
}

static void a_whole_device_comes_with_its_functions(void **state)
{
	static char device[] = "dd618089-8b16-4d01-a136-25a0f3c73123", empty[] = "",
		    gpu[] = "0000:82:00.0", audio[] = "0000:82:00.1";
	char *functions[] = { gpu, audio };
	const struct gpu_wish wish = { .device = "gpu-0" };
	struct fixture *f = *state;
	wire_allocation *a = &f->agent.allocation;
	struct gpu_lease lease;

	a->device_id = device;
	a->mdev_uuid = a->profile = empty;
	a->n_pci_functions = 2;
	a->pci_functions = functions;
	a->numa_node = 1;
	assert_int_equal(gpu_client_reserve(f->client, REQUEST, "instance x", &wish, 300001, &lease,
					    &f->err),
			 0);
	assert_string_equal(f->agent.device, "gpu-0");
	assert_string_equal(f->agent.profile, "");
	assert_string_equal(lease.device_id.s, device);
	assert_int_equal(lease.function_count, 2);
	assert_string_equal(PCI_STR(lease.functions[1]), "0000:82:00.1");
	assert_int_equal(lease.numa_node, 1);
}

static void of_a_simulated_device_no_path_is_kept(void **state)
{
	static char path[] = "/tmp/simulated/sys/x";
	struct fixture *f = *state;
	struct gpu_lease lease;

	f->agent.allocation.simulated = true;
	f->agent.allocation.sysfs_path = path;
	assert_int_equal(reserve(f, &lease), 0);
	assert_true(lease.simulated);
	assert_string_equal(lease.sysfs_path, "");
	assert_string_equal(lease.device_node, "");
}

static void a_device_is_found_by_id_name_or_kind(void **state)
{
	static const struct {
		const char *name, *found;
	} cases[] = {
		{ "gpu-0", "gpu-0" },
		{ "gpu-2", "gpu-2" },
		{ REQUEST, REQUEST },
		{ "NVIDIA L40S", REQUEST }, /* the first one is attached */
		{ "NVIDIA A16", "cc618089-8b16-4d01-a136-25a0f3c73123" },
	};
	struct fixture *f = *state;
	char found[64];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(gpu_client_find_device(f->client, cases[i].name, found,
							sizeof(found), &f->err),
				 0);
		assert_string_equal(found, cases[i].found);
	}
	assert_int_equal(
		gpu_client_find_device(f->client, "NVIDIA T4", found, sizeof(found), &f->err), -1);
	assert_int_equal(f->err.reason, ERR_INSUFFICIENT_CAPACITY);
	assert_int_equal(gpu_client_find_device(f->client, "gpu-9", found, sizeof(found), &f->err),
			 -1);
	assert_int_equal(f->err.reason, ERR_DEVICE_NOT_FOUND);
}

/* What could end on QEMU's command line, or in another's device. */
static void an_answer_that_is_not_plausible_is_not_believed(void **state)
{
	static char bad_id[] = "x", comma[] = "/sys/x,multifunction=on", up[] = "/sys/../etc",
		    elsewhere[] = "/tmp/x", disk[] = "/dev/sda", address[] = "41:00.4",
		    other[] = "cc618089-8b16-4d01-a136-25a0f3c73123";
	struct fixture *f = *state;
	wire_allocation *a = &f->agent.allocation;
	struct {
		char **field;
		char *value;
	} cases[] = {
		{ &a->id, bad_id },
		{ &a->mdev_uuid, bad_id },
		{ &a->sysfs_path, comma },
		{ &a->sysfs_path, up },
		{ &a->sysfs_path, elsewhere },
		{ &a->device_node, disk },
		{ &a->pci_address, address },
		{ &a->request_id, other },
	};
	struct gpu_lease lease = { 0 };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		*a = good_allocation();
		*cases[i].field = cases[i].value;
		assert_int_equal(reserve(f, &lease), -1);
		assert_int_equal(f->err.reason, ERR_INTERNAL);
		assert_string_equal(lease.id.s, "");
	}
	*a = good_allocation();
	a->state = HYPEMAN__GPU__V1__ALLOCATION__STATE__STATE_CREATING;
	assert_int_equal(reserve(f, &lease), -1);
}

static void refusals_are_passed_on_and_told_from_accidents(void **state)
{
	static const struct {
		enum err_reason reason;
		bool refused;
	} cases[] = {
		{ ERR_UNKNOWN_PROFILE, true },	      { ERR_INSUFFICIENT_CAPACITY, true },
		{ ERR_ALLOCATION_DELETED, true },     { ERR_FORBIDDEN, true },
		{ ERR_UNAVAILABLE, false },	      { ERR_INTERNAL, false },
		{ ERR_DEVICE_NOT_RESPONDING, false }, { ERR_OUTCOME_UNKNOWN, false },
	};
	struct fixture *f = *state;
	struct gpu_lease lease;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		f->agent.refusal = cases[i].reason;
		assert_int_equal(reserve(f, &lease), -1);
		assert_int_equal(f->err.reason, cases[i].reason);
		assert_int_equal(gpu_client_was_refused(&f->err), cases[i].refused);
	}
}

static void a_field_is_named_as_in_the_clients_body(void **state)
{
	static const struct {
		const char *theirs, *field, *message;
	} cases[] = {
		{ "vgpu.profile", "instance.gpu.profile",
		  "gpu.profile is 'H100', not vgpu.profile" },
		{ "device.device", "instance.devices", "devices is 'H100', not vgpu.profile" },
		{ "grant_gid", "grant_gid", "grant_gid is 'H100', not vgpu.profile" },
	};
	struct fixture *f = *state;
	struct gpu_lease lease;

	f->agent.refusal = ERR_UNKNOWN_PROFILE;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		f->agent.refused_field = cases[i].theirs;
		assert_int_equal(reserve(f, &lease), -1);
		assert_int_equal(f->err.reason, ERR_UNKNOWN_PROFILE);
		assert_string_equal(f->err.field, cases[i].field);
		assert_string_equal(f->err.message, cases[i].message);
	}
}

static void giving_back_what_is_gone_succeeds(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(gpu_client_release(f->client, ID, &f->err), 0);
	assert_int_equal(f->agent.deleted, 1);
	f->agent.refusal = ERR_ALLOCATION_NOT_FOUND;
	assert_int_equal(gpu_client_release(f->client, ID, &f->err), 0);
	f->agent.refusal = ERR_ALLOCATION_IN_USE;
	assert_int_equal(gpu_client_release(f->client, ID, &f->err), -1);
	assert_int_equal(f->err.reason, ERR_ALLOCATION_IN_USE);
}

static int count_one(void *user, const char *allocation_id, const char *request_id, struct err *err)
{
	(void)err;
	assert_string_equal(allocation_id, ID);
	assert_string_equal(request_id, REQUEST);
	++*(size_t *)user;
	return 0;
}

static void every_page_of_a_list_is_read(void **state)
{
	struct fixture *f = *state;
	size_t count = 0;

	f->agent.pages = 3;
	assert_int_equal(gpu_client_list(f->client, count_one, &count, &f->err), 0);
	assert_int_equal(count, 3);
	assert_int_equal(f->agent.listed, 3);
	assert_int_equal(gpu_client_check(f->client, &f->err), 0);
}

static void an_agent_that_is_down_is_unavailable(void **state)
{
	struct fixture *f = *state;
	struct gpu_lease lease;

	stop_server(f);
	assert_int_equal(gpu_client_check(f->client, &f->err), -1);
	assert_int_equal(f->err.reason, ERR_UNAVAILABLE);
	assert_int_equal(reserve(f, &lease), -1);
	assert_non_null(strstr(f->err.message, "gpu-agent"));
	assert_false(gpu_client_was_refused(&f->err));
}

static void an_agent_of_another_user_is_not_asked(void **state)
{
	struct fixture *f = *state;

	gpu_client_free(f->client);
	f->client = gpu_client_new(f->path, geteuid() + 1);
	assert_int_equal(gpu_client_check(f->client, &f->err), -1);
	assert_int_equal(f->agent.listed, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_reservation_becomes_a_lease),
		TEST(a_whole_device_comes_with_its_functions),
		TEST(of_a_simulated_device_no_path_is_kept),
		TEST(a_device_is_found_by_id_name_or_kind),
		TEST(an_answer_that_is_not_plausible_is_not_believed),
		TEST(refusals_are_passed_on_and_told_from_accidents),
		TEST(a_field_is_named_as_in_the_clients_body),
		TEST(giving_back_what_is_gone_succeeds),
		TEST(every_page_of_a_list_is_read),
		TEST(an_agent_that_is_down_is_unavailable),
		TEST(an_agent_of_another_user_is_not_asked),
	};

	return cmocka_run_group_tests(tests, set_up_process, tear_down_process);
}
