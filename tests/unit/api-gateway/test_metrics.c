/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api-gateway/histogram.h"
#include "api-gateway/metrics.h"
#include "api-gateway/prometheus.h"
#include "api-gateway/traffic.h"
#include "fixture.h"

static struct field_table *fields;
static struct route_table table;

static int set_up(void **state)
{
	struct err err;

	(void)state;
	fields = fixture_fields();
	return route_table_init(&table, fields, &err);
}

static int tear_down(void **state)
{
	(void)state;
	field_table_free(fields);
	return 0;
}

static void expect_line(const struct text *text, const char *line)
{
	char wanted[256];

	snprintf(wanted, sizeof(wanted), "\n%s\n", line);
	if (!text->bytes || !strstr(text->bytes, wanted))
		fail_msg("no line %s in:\n%s", line, text->bytes ? text->bytes : "");
}

static size_t count_of(const struct text *text, const char *part)
{
	size_t count = 0;

	for (const char *at = text->bytes; at && (at = strstr(at, part)); at++)
		count++;
	return count;
}

static const struct route *route_of(const char *method, const char *path)
{
	struct url_path parsed;
	struct err err;
	const struct route *route;

	assert_int_equal(url_path_parse(path, &parsed, &err), 0);
	route = route_find(&table, method, &parsed, NULL, 0, &err);
	assert_non_null(route);
	return route;
}

static void label_values_and_help_are_escaped(void **state)
{
	scoped_text struct text text = { 0 };

	(void)state;
	prometheus_family(&text, "m", "gauge", "a \\ \"b\"\nc");
	prometheus_sample(&text, "m", 1, "l", "a\\b\"c\nd{}", "k", "\xe2\x82\xac", NULL);
	prometheus_sample(&text, "m", 2, NULL);
	assert_string_equal(text.bytes, "# HELP m a \\\\ \"b\"\\nc\n"
					"# TYPE m gauge\n"
					"m{l=\"a\\\\b\\\"c\\nd{}\",k=\"\xe2\x82\xac\"} 1\n"
					"m 2\n");
}

static void numbers_read_back(void **state)
{
	(void)state;
	assert_string_equal(prometheus_number(0).s, "0");
	assert_string_equal(prometheus_number(0.0025).s, "0.0025");
	assert_string_equal(prometheus_number(9007199254740991.0).s, "9007199254740991");
	assert_true(strtod(prometheus_number(0.1 + 0.2).s, NULL) == 0.1 + 0.2);
}

static void a_bucket_has_its_bound_and_all_below(void **state)
{
	struct histogram histogram = { 0 };
	scoped_text struct text text = { 0 };

	(void)state;
	histogram_write(&histogram, &text, "d", "/x", "GET");
	assert_int_equal(text.length, 0); /* nothing to say yet */
	text_append_string(&text, "\n");
	histogram_add(&histogram, 1000);
	histogram_add(&histogram, 1001);
	histogram_add(&histogram, 30000001);
	histogram_write(&histogram, &text, "d", "/x", "GET");
	expect_line(&text, "d_bucket{route=\"/x\",method=\"GET\",le=\"0.001\"} 1");
	expect_line(&text, "d_bucket{route=\"/x\",method=\"GET\",le=\"0.0025\"} 2");
	expect_line(&text, "d_bucket{route=\"/x\",method=\"GET\",le=\"30\"} 2");
	expect_line(&text, "d_bucket{route=\"/x\",method=\"GET\",le=\"+Inf\"} 3");
	expect_line(&text, "d_count{route=\"/x\",method=\"GET\"} 3");
	expect_line(&text, "d_sum{route=\"/x\",method=\"GET\"} 30.002002");
}

static void requests_are_counted_by_pattern_method_and_status(void **state)
{
	scoped(traffic_free) struct traffic *traffic = traffic_new(table);
	scoped_text struct text text = { 0 };

	(void)state;
	assert_non_null(traffic);
	traffic_count(traffic, route_of("GET", "/instances/a"), "GET", 200, 1);
	traffic_count(traffic, route_of("GET", "/instances/b"), "GET", 200, 1);
	traffic_count(traffic, route_of("GET", "/instances/b"), "HEAD", 404, 1);
	traffic_count(traffic, NULL, "GET", 404, 1);
	traffic_write(traffic, &text);
	expect_line(&text, "hypeman_http_requests_total{route=\"/instances/{id}\",method=\"GET\","
			   "status=\"200\"} 2");
	expect_line(&text, "hypeman_http_requests_total{route=\"/instances/{id}\",method=\"HEAD\","
			   "status=\"404\"} 1");
	expect_line(&text,
		    "hypeman_http_requests_total{route=\"\",method=\"GET\",status=\"404\"} 1");
	expect_line(&text, "hypeman_http_request_duration_seconds_count{route=\"/instances/{id}\","
			   "method=\"GET\"} 3");
}

static void what_clients_invent_makes_no_new_series(void **state)
{
	scoped(traffic_free) struct traffic *traffic = traffic_new(table);
	scoped_text struct text text = { 0 };

	(void)state;
	assert_non_null(traffic);
	for (int i = 0; i < 1000; i++) {
		char method[16];

		snprintf(method, sizeof(method), "X%d", i);
		traffic_count(traffic, NULL, method, 405, 1);
	}
	for (int status = 100; status < 600; status++)
		traffic_count(traffic, NULL, "GET", status, 1);
	traffic_write(traffic, &text);
	expect_line(&text, "hypeman_http_requests_total{route=\"\",method=\"other\","
			   "status=\"405\"} 1000");
	assert_int_equal(count_of(&text, "\nhypeman_http_requests_total{"), 64);
}

static void a_silent_service_leaves_a_gap(void **state)
{
	struct services services = { .of = { [SERVICE_GPU] = { .name = "gpu-agent" },
					     [SERVICE_INSTANCE] = { .name = "instance-svc" } } };
	const struct metrics_sources sources = { .services = &services };
	struct scrape scrape = { .has_instances = true, .instances = { 0, 0, 0, 7 } };
	scoped(metrics_free) struct metrics *metrics = NULL;
	scoped_text struct text text = { 0 };
	struct err err;

	(void)state;
	metrics = metrics_new(&sources, fields, &err);
	assert_non_null(metrics);
	metrics_write_scrape(metrics, &scrape, &text);
	expect_line(&text, "hypeman_backend_up{service=\"gpu-agent\"} 0");
	expect_line(&text, "hypeman_backend_up{service=\"instance-svc\"} 1");
	expect_line(&text, "hypeman_instances{state=\"Running\"} 7");
	expect_line(&text, "hypeman_instances{state=\"Stopped\"} 0");
	expect_line(&text, "hypeman_images{state=\"ready\"} 0");
	assert_int_equal(count_of(&text, "\nhypeman_gpu"), 0);
}

static void gpus_of_one_name_are_counted_together(void **state)
{
	struct services services = { .of = { [SERVICE_GPU] = { .name = "gpu-agent" },
					     [SERVICE_INSTANCE] = { .name = "instance-svc" } } };
	const struct metrics_sources sources = { .services = &services };
	Hypeman__Gpu__V1__GetHostResponse host = HYPEMAN__GPU__V1__GET_HOST_RESPONSE__INIT;
	Hypeman__Gpu__V1__GpuStatus gpu = HYPEMAN__GPU__V1__GPU_STATUS__INIT;
	static char l40s[] = "NVIDIA L40S", h200[] = "NVIDIA H200";
	Hypeman__Gpu__V1__GpuDevice devices[3], *listed[] = { devices, devices + 1, devices + 2 };
	struct scrape scrape = { .host = &host, .has_instances = true };
	scoped(metrics_free) struct metrics *metrics = NULL;
	scoped_text struct text text = { 0 };
	struct err err;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		hypeman__gpu__v1__gpu_device__init(&devices[i]);
		devices[i].name = i == 1 ? h200 : l40s;
		devices[i].available = i != 2;
	}
	host.gpu = &gpu;
	gpu.n_devices = 3;
	gpu.devices = listed;
	metrics = metrics_new(&sources, fields, &err);
	assert_non_null(metrics);
	metrics_write_scrape(metrics, &scrape, &text);
	expect_line(&text, "hypeman_gpu_profile_slots{profile=\"NVIDIA L40S\",state=\"total\"} 2");
	expect_line(&text, "hypeman_gpu_profile_slots{profile=\"NVIDIA L40S\",state=\"used\"} 1");
	expect_line(&text,
		    "hypeman_gpu_profile_slots{profile=\"NVIDIA H200\",state=\"available\"} 1");
	assert_int_equal(count_of(&text, "\nhypeman_gpu_profile_slots{"), 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(label_values_and_help_are_escaped),
		cmocka_unit_test(numbers_read_back),
		cmocka_unit_test(a_bucket_has_its_bound_and_all_below),
		cmocka_unit_test(requests_are_counted_by_pattern_method_and_status),
		cmocka_unit_test(what_clients_invent_makes_no_new_series),
		cmocka_unit_test(a_silent_service_leaves_a_gap),
		cmocka_unit_test(gpus_of_one_name_are_counted_together),
	};

	return cmocka_run_group_tests_name("metrics", tests, set_up, tear_down);
}
