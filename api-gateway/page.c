/* SPDX-License-Identifier: Apache-2.0 */
#include "page.h"

#include <string.h>

#include "page_css.h"
#include "page_html.h"
#include "page_js.h"

/* Nothing from elsewhere, nothing inline, and in nobody's frame. */
#define POLICY                                                                                     \
	"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "            \
	"img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

void page_answer(const struct route *route, struct response *response)
{
	const struct {
		const char *pattern, *content_type;
		const uint8_t *bytes;
		size_t size;
	} files[] = {
		{ "/", "text/html; charset=utf-8", page_html, page_html_size },
		{ "/page.css", "text/css; charset=utf-8", page_css, page_css_size },
		{ "/page.js", "text/javascript; charset=utf-8", page_js, page_js_size },
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		if (strcmp(files[i].pattern, route->pattern) != 0)
			continue;
		response->content_type = files[i].content_type;
		response->policy = POLICY;
		text_append(&response->body, (const char *)files[i].bytes, files[i].size);
	}
}
