/* SPDX-License-Identifier: Apache-2.0 */
/* What is refused before anything is decided. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gpu-agent/serve/gpu_wire.h"
#include "gpu-agent/serve/peers.h"
#include "hypeman/gpu/v1/gpu_service.pb-c.h"

#define REQUEST_ID "AA618089-8B16-4D01-A136-25A0F3C73123"

static void a_good_create_becomes_values(void **state)
{
	Hypeman__Gpu__V1__CreateAllocationRequest wire =
		HYPEMAN__GPU__V1__CREATE_ALLOCATION_REQUEST__INIT;
	Hypeman__Gpu__V1__VgpuRequest vgpu = HYPEMAN__GPU__V1__VGPU_REQUEST__INIT;
	char id[] = REQUEST_ID, owner[] = "vm-7", profile[] = "NVIDIA L40S-1Q";
	struct create_request request;
	struct err err;

	(void)state;
	wire.request_id = id;
	wire.owner = owner;
	wire.vgpu = &vgpu;
	vgpu.profile = profile;
	wire.grant_gid = 200001;

	assert_int_equal(create_request_from_wire(&wire.base, "instance-svc", &request, &err), 0);
	assert_string_equal(request.request_id, "aa618089-8b16-4d01-a136-25a0f3c73123");
	assert_string_equal(request.principal, "instance-svc");
	assert_string_equal(request.owner, "vm-7");
	assert_string_equal(request.profile, "L40S-1Q");
	assert_int_equal(request.grant_gid, 200001);
}

static void bad_creates_name_the_field(void **state)
{
	static const struct {
		const char *request_id;
		size_t owner_length;
		const char *profile; /* NULL: no vgpu at all */
		uint32_t gid;
		const char *field;
	} cases[] = {
		{ "", 1, "L40S-1Q", 5, "request_id" },
		{ "aa618089-8b16-4d01-a136-25a0f3c7312", 1, "L40S-1Q", 5, "request_id" },
		{ "aa618089-8b16-4d01-a136-25a0f3c7312g", 1, "L40S-1Q", 5, "request_id" },
		{ "{a618089-8b16-4d01-a136-25a0f3c73123", 1, "L40S-1Q", 5, "request_id" },
		{ REQUEST_ID, 129, "L40S-1Q", 5, "owner" },
		{ REQUEST_ID, 128, NULL, 5, "vgpu.profile" },
		{ REQUEST_ID, 128, "", 5, "vgpu.profile" },
		{ REQUEST_ID, 128,
		  "a-name-that-is-longer-than-any-name-that-a-driver-has-ever-used-1Q", 5,
		  "vgpu.profile" },
		{ REQUEST_ID, 128, "L40S-1Q", 0, "grant_gid" },
		{ REQUEST_ID, 128, "L40S-1Q", UINT32_MAX, "grant_gid" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		Hypeman__Gpu__V1__CreateAllocationRequest wire =
			HYPEMAN__GPU__V1__CREATE_ALLOCATION_REQUEST__INIT;
		Hypeman__Gpu__V1__VgpuRequest vgpu = HYPEMAN__GPU__V1__VGPU_REQUEST__INIT;
		char id[64], owner[200] = "", profile[128];
		struct create_request request;
		struct err err;

		strcpy(id, cases[i].request_id);
		memset(owner, 'o', cases[i].owner_length);
		wire.request_id = id;
		wire.owner = owner;
		wire.grant_gid = cases[i].gid;
		if (cases[i].profile) {
			strcpy(profile, cases[i].profile);
			vgpu.profile = profile;
			wire.vgpu = &vgpu;
		}
		assert_int_equal(create_request_from_wire(&wire.base, "p", &request, &err), -1);
		assert_int_equal(err.reason, ERR_INVALID_ARGUMENT);
		assert_string_equal(err.field, cases[i].field);
	}
}

static int wish_of(Hypeman__Gpu__V1__VgpuRequest vgpu, struct placement_wish *ret, struct err *err)
{
	Hypeman__Gpu__V1__CreateAllocationRequest wire =
		HYPEMAN__GPU__V1__CREATE_ALLOCATION_REQUEST__INIT;
	char id[] = REQUEST_ID, profile[] = "L40S-1Q";
	struct create_request request;

	wire.request_id = id;
	wire.vgpu = &vgpu;
	wire.grant_gid = 5;
	vgpu.profile = profile;
	if (create_request_from_wire(&wire.base, "p", &request, err))
		return -1;
	*ret = request.wish;
	return 0;
}

static void wishes_are_read_and_checked(void **state)
{
	Hypeman__Gpu__V1__VgpuRequest vgpu = HYPEMAN__GPU__V1__VGPU_REQUEST__INIT;
	struct placement_wish wish;
	struct err err;

	(void)state;
	assert_int_equal(wish_of(vgpu, &wish, &err), 0);
	assert_false(wish.spread);
	assert_false(wish.has_node);

	vgpu.placement = HYPEMAN__GPU__V1__VGPU_REQUEST__PLACEMENT__PLACEMENT_SPREAD;
	vgpu.numa_node_opt_case = HYPEMAN__GPU__V1__VGPU_REQUEST__NUMA_NODE_OPT_NUMA_NODE;
	assert_int_equal(wish_of(vgpu, &wish, &err), 0);
	assert_true(wish.spread);
	assert_true(wish.has_node);
	assert_int_equal(wish.numa_node, 0);

	vgpu.numa_node = UINT32_MAX;
	assert_int_equal(wish_of(vgpu, &wish, &err), -1);
	assert_string_equal(err.field, "vgpu.numa_node");
	vgpu.placement = 3;
	assert_int_equal(wish_of(vgpu, &wish, &err), -1);
	assert_string_equal(err.field, "vgpu.placement");
}

static void lists_check_size_and_token(void **state)
{
	static const struct {
		uint32_t size;
		const char *token;
		const char *field; /* NULL: fine */
	} cases[] = {
		{ 0, "", NULL },
		{ 1000, "17", NULL },
		{ 1001, "", "page_size" },
		{ 5, "-1", "page_token" },
		{ 5, "12x", "page_token" },
		{ 5, "99999999999999999999", "page_token" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		Hypeman__Gpu__V1__ListAllocationsRequest wire =
			HYPEMAN__GPU__V1__LIST_ALLOCATIONS_REQUEST__INIT;
		char token[32];
		uint64_t after = 0;
		size_t max = 0;
		struct err err;
		int r;

		strcpy(token, cases[i].token);
		wire.page_size = cases[i].size;
		wire.page_token = token;
		r = list_request_from_wire(&wire.base, &max, &after, &err);
		assert_int_equal(r, cases[i].field ? -1 : 0);
		if (cases[i].field)
			assert_string_equal(err.field, cases[i].field);
		else
			assert_int_equal(max, 1000);
	}
}

static void claims_check_ids_and_intent(void **state)
{
	static const struct {
		size_t count;
		const char *id;
		bool knows_nothing;
		const char *field; /* NULL: fine */
	} cases[] = {
		{ 1, REQUEST_ID, false, NULL },
		{ 0, NULL, true, NULL },
		{ 4096, REQUEST_ID, false, NULL },
		{ 0, NULL, false, "knows_nothing" },
		{ 1, REQUEST_ID, true, "knows_nothing" },
		{ 1, "17", false, "allocation_ids" },
		{ 4097, REQUEST_ID, false, "allocation_ids" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		Hypeman__Gpu__V1__SyncAllocationsRequest wire =
			HYPEMAN__GPU__V1__SYNC_ALLOCATIONS_REQUEST__INIT;
		scoped(sync_request_done) struct sync_request request = { 0 };
		char id[64] = "", *ids[4097];
		struct err err;
		int r;

		if (cases[i].id)
			strcpy(id, cases[i].id);
		for (size_t k = 0; k < cases[i].count; k++)
			ids[k] = id;
		wire.revision = 17;
		wire.n_allocation_ids = cases[i].count;
		wire.allocation_ids = ids;
		wire.knows_nothing = cases[i].knows_nothing;
		r = sync_request_from_wire(&wire.base, "instance-svc", &request, &err);
		assert_int_equal(r, cases[i].field ? -1 : 0);
		if (cases[i].field) {
			assert_string_equal(err.field, cases[i].field);
			continue;
		}
		assert_int_equal(request.revision, 17);
		assert_int_equal(request.claimed_count, cases[i].count);
		assert_string_equal(request.principal, "instance-svc");
		if (cases[i].count)
			assert_string_equal(request.claimed[cases[i].count - 1].s,
					    "aa618089-8b16-4d01-a136-25a0f3c73123");
	}
}

static void peers_are_read(void **state)
{
	struct rpc_peer peer;
	struct err err;

	(void)state;
	assert_int_equal(peer_parse("instance-svc:root:reader+allocator", &peer, &err), 0);
	assert_string_equal(peer.name, "instance-svc");
	assert_int_equal(peer.uid, 0);
	assert_int_equal(peer.roles, ROLE_READER | ROLE_ALLOCATOR);
	assert_int_equal(peer_parse("x:4000000000:admin", &peer, &err), 0);
	assert_int_equal(peer.uid, 4000000000);
	assert_int_equal(peer.roles, ROLE_ADMIN);
}

static void bad_peers_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"a",
		"a:0",
		":0:reader",
		"a::reader",
		"a:0:",
		"a:0:reader+",
		"a:0:owner",
		"a:0:reader:more",
		"a:4294967295:reader",
		"a:12x:reader",
		"a:no-such-user-here:reader",
		"a-name-that-is-longer-than-31-bytes:0:reader",
	};
	struct rpc_peer peer;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(peer_parse(bad[i], &peer, &err), -1);
		assert_int_equal(err.reason, ERR_INVALID_ARGUMENT);
	}
}

static void peers_with_certificates_are_read(void **state)
{
	static const char *const bad[] = {
		"",
		"a",
		"a:host",
		"a::reader",
		":host:reader",
		"a:host:",
		"a:host:owner",
		"a:spiffe://x/y",
		"a-name-that-is-longer-than-31-bytes:host:reader",
	};
	struct rpc_peer peer;
	struct err err;

	(void)state;
	assert_int_equal(
		tls_peer_parse("controller:spiffe://example.org/controller:reader+allocator", &peer,
			       &err),
		0);
	assert_string_equal(peer.name, "controller");
	assert_string_equal(peer.san, "spiffe://example.org/controller");
	assert_int_equal(peer.uid, (uid_t)-1);
	assert_int_equal(peer.roles, ROLE_READER | ROLE_ALLOCATOR);
	assert_int_equal(tls_peer_parse("c:c.example.org:admin", &peer, &err), 0);
	assert_string_equal(peer.san, "c.example.org");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(tls_peer_parse(bad[i], &peer, &err), -1);
		assert_string_equal(err.field, "tls-peer");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_create_becomes_values),
		cmocka_unit_test(bad_creates_name_the_field),
		cmocka_unit_test(wishes_are_read_and_checked),
		cmocka_unit_test(lists_check_size_and_token),
		cmocka_unit_test(claims_check_ids_and_intent),
		cmocka_unit_test(peers_are_read),
		cmocka_unit_test(bad_peers_are_refused),
		cmocka_unit_test(peers_with_certificates_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
