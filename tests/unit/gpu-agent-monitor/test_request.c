/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gpu-agent/monitor/request.h"

static struct op_request good(void)
{
	return (struct op_request){
		.version = OPS_VERSION,
		.kind = OP_CREATE_MDEV,
		.uuid = "aa618089-8b16-4d01-a136-25a0f3c73123",
		.type = "nvidia-1147",
		.parent = { 0, 0x41, 0, 4 },
	};
}

#define ACCEPTED(r) assert_null(request_check(&(r), sizeof(r)))
#define REFUSED(r)  assert_non_null(request_check(&(r), sizeof(r)))

static void a_request_of_the_right_form_is_taken(void **state)
{
	struct op_request r = good();

	(void)state;
	for (uint32_t kind = OP_SCAN; kind <= OP_FIND_HOLDERS; kind++) {
		r.kind = kind;
		ACCEPTED(r);
	}
	r = (struct op_request){ .version = OPS_VERSION, .kind = OP_SCAN };
	ACCEPTED(r);
	r = good();
	strcpy(r.type, "i915-GVTg_V5_4");
	ACCEPTED(r);
	memset(r.type, 'x', sizeof(r.type) - 1);
	ACCEPTED(r);
}

static void another_size_version_or_kind_is_refused(void **state)
{
	struct op_request r = good();

	(void)state;
	assert_non_null(request_check(&r, sizeof(r) - 1));
	assert_non_null(request_check(&r, sizeof(r) + 1));
	assert_non_null(request_check(&r, 1));
	r.version = OPS_VERSION + 1;
	REFUSED(r);
	r = good();
	r.kind = 0;
	REFUSED(r);
	r.kind = OP_CHECK_HOST + 1;
	REFUSED(r);
	r.kind = UINT32_MAX;
	REFUSED(r);
}

static void text_without_an_end_is_refused(void **state)
{
	struct op_request r = good();

	(void)state;
	r.uuid[sizeof(r.uuid) - 1] = '0';
	REFUSED(r);
	r = good();
	memset(r.type, 'x', sizeof(r.type));
	REFUSED(r);
}

static void a_uuid_has_one_spelling(void **state)
{
	static const char *const refused[] = {
		"",
		"aa618089-8b16-4d01-a136-25a0f3c7312",
		"AA618089-8b16-4d01-a136-25a0f3c73123",
		"aa618089-8b16-4d01-a136-25a0f3c7312g",
		"aa618089x8b16-4d01-a136-25a0f3c73123",
		"aa618089-8b16-4d01-a136-25a0f3c7312/",
		"../../../../../../../../etc/passwd00",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct op_request r = good();

		memset(r.uuid, 0, sizeof(r.uuid));
		memcpy(r.uuid, refused[i], strlen(refused[i]));
		REFUSED(r);
	}
}

static void a_type_is_one_component_of_a_path(void **state)
{
	static const char *const refused[] = { "",     ".",    "..",	"a/b",	   "/a",      "a b",
					       "a\nb", "\x7f", "a\x01", ".hidden", "\xc3\xa4" };

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct op_request r = good();

		memset(r.type, 0, sizeof(r.type));
		strcpy(r.type, refused[i]);
		REFUSED(r);
	}
}

static void a_parent_is_a_pci_address(void **state)
{
	struct op_request r = good();

	(void)state;
	r.parent.slot = 0x20;
	REFUSED(r);
	r = good();
	r.parent.function = 8;
	REFUSED(r);
	r = good();
	r.parent.domain = UINT32_MAX;
	ACCEPTED(r);
}

static void a_monitor_request_is_checked_alike(void **state)
{
	struct monitor_request r = { OPS_VERSION, MONITOR_START_WORKER, 0 };

	(void)state;
	assert_null(request_check_monitor(&r, sizeof(r)));
	assert_non_null(request_check_monitor(&r, sizeof(r) - 1));
	r.kind = MONITOR_GIVE_UP_WORKER;
	assert_null(request_check_monitor(&r, sizeof(r)));
	r.kind = 3;
	assert_non_null(request_check_monitor(&r, sizeof(r)));
	r = (struct monitor_request){ OPS_VERSION + 1, MONITOR_START_WORKER, 0 };
	assert_non_null(request_check_monitor(&r, sizeof(r)));
}

static void scopes_stay_within_their_array(void **state)
{
	struct op_request r = { .version = OPS_VERSION, .kind = OP_SCAN };

	(void)state;
	r.scope = OP_SCOPE_EXCEPT;
	r.gpu_count = OPS_GPUS_MAX;
	ACCEPTED(r);
	r.gpu_count = OPS_GPUS_MAX + 1;
	REFUSED(r);
	r.gpu_count = UINT32_MAX;
	REFUSED(r);
	r.gpu_count = 1;
	r.gpus[0].slot = 0x20;
	REFUSED(r);
	r.gpus[0].slot = 0;
	r.scope = OP_SCOPE_EXCEPT + 1;
	REFUSED(r);
	r.kind = OP_BIND_VFIO;
	REFUSED(r);
}

static void scopes_name_gpus(void **state)
{
	struct op_request r = { .gpu_count = 1, .gpus = { { 0, 0x41, 0, 0 } } };
	const struct pci_addr listed = { 0, 0x41, 0, 0 }, other = { 0, 0x61, 0, 0 };

	(void)state;
	assert_true(request_is_in_scope(&r, listed) && request_is_in_scope(&r, other));
	r.scope = OP_SCOPE_ONLY;
	assert_true(request_is_in_scope(&r, listed) && !request_is_in_scope(&r, other));
	r.scope = OP_SCOPE_EXCEPT;
	assert_true(!request_is_in_scope(&r, listed) && request_is_in_scope(&r, other));
}

static void a_vendor_type_is_never_zero(void **state)
{
	struct op_request r = good();

	(void)state;
	r.kind = OP_SET_VENDOR_TYPE;
	r.vendor_type = 1147;
	ACCEPTED(r);
	r.vendor_type = 0;
	REFUSED(r);
	r.vendor_type = UINT32_MAX;
	REFUSED(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_of_the_right_form_is_taken),
		cmocka_unit_test(another_size_version_or_kind_is_refused),
		cmocka_unit_test(text_without_an_end_is_refused),
		cmocka_unit_test(a_uuid_has_one_spelling),
		cmocka_unit_test(a_type_is_one_component_of_a_path),
		cmocka_unit_test(a_parent_is_a_pci_address),
		cmocka_unit_test(a_monitor_request_is_checked_alike),
		cmocka_unit_test(scopes_stay_within_their_array),
		cmocka_unit_test(scopes_name_gpus),
		cmocka_unit_test(a_vendor_type_is_never_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
