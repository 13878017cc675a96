/* SPDX-License-Identifier: Apache-2.0 */
#include "kept_answer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct kept_answer {
	pthread_mutex_t lock;
	struct services_state state;
	int64_t fetched_ms;
	struct text text; /* empty: none */
};

struct kept_answer *kept_answer_new(void)
{
	struct kept_answer *kept = calloc(1, sizeof(*kept));

	if (kept)
		pthread_mutex_init(&kept->lock, NULL);
	return kept;
}

void kept_answer_free(struct kept_answer *kept)
{
	if (!kept)
		return;
	pthread_mutex_destroy(&kept->lock);
	text_done(&kept->text);
	free(kept);
}

/* Numbers without padding between them. */
static bool is_same(const struct services_state *a, const struct services_state *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

bool kept_answer_get(struct kept_answer *kept, const struct services_state *state, int64_t now_ms,
		     struct text *ret)
{
	bool good;

	pthread_mutex_lock(&kept->lock);
	good = kept->text.length > 0 && now_ms - kept->fetched_ms < KEPT_ANSWER_MS &&
	       is_same(&kept->state, state);
	if (good)
		text_append(ret, kept->text.bytes, kept->text.length);
	pthread_mutex_unlock(&kept->lock);
	return good;
}

void kept_answer_put(struct kept_answer *kept, const struct services_state *state, int64_t now_ms,
		     const struct text *answer)
{
	struct text text = { 0 };

	text_append(&text, answer->bytes, answer->length);
	if (text.incomplete)
		text_done(&text);
	pthread_mutex_lock(&kept->lock);
	text_done(&kept->text);
	kept->text = text;
	kept->state = *state;
	kept->fetched_ms = now_ms;
	pthread_mutex_unlock(&kept->lock);
}
