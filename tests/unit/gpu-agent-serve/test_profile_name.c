/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gpu-agent/ops.h"
#include "gpu-agent/serve/profile_name.h"

static void names_are_read_as_the_grammar_says(void **state)
{
	static const struct {
		const char *name, *short_name;
		enum profile_series series;
		int32_t framebuffer_mb;
	} cases[] = {
		{ "NVIDIA L40S-1Q", "L40S-1Q", SERIES_Q, 1024 },
		{ "L40S-48A", "L40S-48A", SERIES_A, 49152 },
		{ "GRID T4-2B4", "T4-2B4", SERIES_B, 2048 },
		{ "GRID M10-0B", "M10-0B", SERIES_B, 512 },
		{ "GRID A100X-1-5CME", "A100X-1-5CME", SERIES_C, 5120 },
		{ "NVIDIA RTX Pro 6000 Blackwell DC-3Q", "RTX Pro 6000 Blackwell DC-3Q", SERIES_Q,
		  3072 },
		{ "NVIDIA RTX6000-Ada-24C", "RTX6000-Ada-24C", SERIES_C, 24576 },
		{ "NVIDIA H100-16", "H100-16", SERIES_OTHER, 16384 },
		{ "i915-GVTg_V5_4", "i915-GVTg_V5_4", SERIES_OTHER, OPS_UNKNOWN },
		{ "NVIDIA ", "NVIDIA ", SERIES_OTHER, OPS_UNKNOWN },
		{ "", "", SERIES_OTHER, OPS_UNKNOWN },
		{ "x-999999Q", "x-999999Q", SERIES_Q, OPS_UNKNOWN },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_string_equal(profile_short_name(cases[i].name), cases[i].short_name);
		assert_int_equal(profile_series(cases[i].name), cases[i].series);
		assert_int_equal(profile_framebuffer_mb(cases[i].name), cases[i].framebuffer_mb);
	}
}

static void a_type_keeps_its_id_when_the_driver_changes(void **state)
{
	(void)state;
	assert_string_equal(profile_type_id("nvidia-1147"), "1147");
	assert_string_equal(profile_type_id("vfio-pci-1147"), "1147");
	assert_string_equal(profile_type_id("i915-GVTg_V5_4"), "GVTg_V5_4");
	assert_string_equal(profile_type_id("odd"), "odd");
	assert_string_equal(profile_type_id("odd-"), "odd-");
}

static void the_maximum_follows_from_the_board(void **state)
{
	static const struct {
		const char *name;
		int32_t max;
	} cases[] = {
		{ "NVIDIA L40S-1Q", 48 },
		{ "L40S-48Q", 1 },
		{ "L40S-3B", 16 },
		{ "GRID A100X-4C", 10 },
		{ "GRID A100DX-4C", 20 },
		{ "NVIDIA RTX Pro 6000 Blackwell DC-6Q", 16 },
		{ "NVIDIA H200-7C", 20 },
		{ "GRID A100-1-5C", OPS_UNKNOWN },
		{ "NVIDIA L40-1Q", OPS_UNKNOWN },
		{ "L40S", OPS_UNKNOWN },
		{ "i915-GVTg_V5_4", OPS_UNKNOWN },
		{ "", OPS_UNKNOWN },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(profile_max_instance(cases[i].name), cases[i].max);
}

static void slices_are_told_from_boards_with_dashes(void **state)
{
	(void)state;
	assert_true(profile_has_slices("A100-1-5C"));
	assert_true(profile_has_slices("RTX Pro 6000 Blackwell DC-1-2Q"));
	assert_false(profile_has_slices("RTX6000-Ada-24C"));
	assert_false(profile_has_slices("L40S-1Q"));
	assert_false(profile_has_slices("1-5C"));
	assert_false(profile_has_slices("i915-GVTg_V5_4"));
	assert_false(profile_has_slices(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_read_as_the_grammar_says),
		cmocka_unit_test(slices_are_told_from_boards_with_dashes),
		cmocka_unit_test(the_maximum_follows_from_the_board),
		cmocka_unit_test(a_type_keeps_its_id_when_the_driver_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
