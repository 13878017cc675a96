/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api-gateway/kept_answer.h"

#define NOW 5000000

static struct services_state some_state(void)
{
	return (struct services_state){
		.of[SERVICE_GPU] = { .connection = 1, .epoch = 2, .generation = 3 },
		.of[SERVICE_INSTANCE] = { .connection = 4, .epoch = 5, .generation = 6 },
	};
}

static struct kept_answer *kept_with(const struct services_state *state, const char *answer)
{
	struct kept_answer *kept = kept_answer_new();
	scoped_text struct text text = { 0 };

	assert_non_null(kept);
	text_append_string(&text, answer);
	kept_answer_put(kept, state, NOW, &text);
	return kept;
}

static void expect(struct kept_answer *kept, const struct services_state *state, int64_t now_ms,
		   const char *answer)
{
	scoped_text struct text text = { 0 };

	assert_int_equal(kept_answer_get(kept, state, now_ms, &text), answer != NULL);
	if (answer)
		assert_string_equal(text.bytes, answer);
	else
		assert_int_equal(text.length, 0);
}

static void nothing_is_kept_at_first(void **state)
{
	struct kept_answer *kept = kept_answer_new();
	const struct services_state same = some_state();

	(void)state;
	expect(kept, &same, NOW, NULL);
	kept_answer_free(kept);
}

static void an_answer_is_good_while_nothing_changes(void **state)
{
	const struct services_state same = some_state();
	struct kept_answer *kept = kept_with(&same, "{}");

	(void)state;
	expect(kept, &same, NOW, "{}");
	expect(kept, &same, NOW + KEPT_ANSWER_MS - 1, "{}");
	expect(kept, &same, NOW + KEPT_ANSWER_MS, NULL);
	kept_answer_free(kept);
}

static void any_number_that_differs_makes_it_bad(void **state)
{
	const struct services_state same = some_state();
	struct kept_answer *kept = kept_with(&same, "{}");
	const enum service_id services[] = { SERVICE_GPU, SERVICE_INSTANCE };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct services_state other = same;

		other.of[services[i]].connection++;
		expect(kept, &other, NOW, NULL);
		other = same;
		other.of[services[i]].epoch++;
		expect(kept, &other, NOW, NULL);
		other = same;
		other.of[services[i]].generation++;
		expect(kept, &other, NOW, NULL);
	}
	expect(kept, &same, NOW, "{}");
	kept_answer_free(kept);
}

static void a_later_answer_takes_its_place(void **state)
{
	const struct services_state first = some_state();
	struct services_state second = some_state();
	struct kept_answer *kept = kept_with(&first, "first");
	scoped_text struct text text = { 0 };

	(void)state;
	second.of[SERVICE_GPU].generation++;
	text_append_string(&text, "second");
	kept_answer_put(kept, &second, NOW, &text);
	expect(kept, &second, NOW, "second");
	expect(kept, &first, NOW, NULL);
	kept_answer_free(kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_kept_at_first),
		cmocka_unit_test(an_answer_is_good_while_nothing_changes),
		cmocka_unit_test(any_number_that_differs_makes_it_bad),
		cmocka_unit_test(a_later_answer_takes_its_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
