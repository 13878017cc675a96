/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "gpu-agent/serve/clock.h"
#include "gpu-agent/serve/recovery.h"
#include "gpu-agent/serve/scanner.h"
#include "gpu-agent/serve/suspects.h"

static void start_agent(struct fixture *fixture)
{
	struct agent_options options = AGENT_OPTIONS_DEFAULT;
	struct err err;

	options.write_timeout_ms = 1000;
	options.request_timeout_ms = 3000;
	options.scan_timeout_ms = 5000;
	assert_int_equal(records_open(fixture->folder, &fixture->records, &err), 0);
	assert_int_equal(
		agent_new(&options, fixture->records, fixture->client, &fixture->agent, &err), 0);
}

static void stop_agent(struct fixture *fixture)
{
	agent_stop(fixture->agent);
	if (fixture->threads) {
		pthread_join(fixture->scanner, NULL);
		pthread_join(fixture->recovery, NULL);
		fixture->threads = false;
	}
	suspects_wait_end(fixture->agent);
	agent_free(fixture->agent);
	records_close(fixture->records);
}

void fixture_init(struct fixture *fixture)
{
	*fixture = (struct fixture){ .folder = "/tmp/test-gpu-serve-XXXXXX" };
	assert_non_null(mkdtemp(fixture->folder));
	fixture->client = monitor_client_new(fake_monitor_start(&fixture->monitor, 2), 16);
	start_agent(fixture);
}

void fixture_done(struct fixture *fixture)
{
	static const char *const files[] = { "gpu-agent.db", "gpu-agent.db-wal", "gpu-agent.db-shm",
					     "gpu-agent.db.lock" };
	char path[128];

	stop_agent(fixture);
	monitor_client_free(fixture->client);
	fake_monitor_stop(&fixture->monitor);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", fixture->folder, files[i]);
		(void)unlink(path);
	}
	assert_int_equal(rmdir(fixture->folder), 0);
}

void fixture_start_threads(struct fixture *fixture)
{
	struct agent *agent = fixture->agent;

	assert_int_equal(pthread_create(&fixture->scanner, NULL, scanner_thread, agent), 0);
	assert_int_equal(pthread_create(&fixture->recovery, NULL, recovery_thread, agent), 0);
	fixture->threads = true;
	pthread_mutex_lock(&agent->lock);
	while (!agent->inventory)
		(void)agent_wait_locked(agent, clock_monotonic_ms() + 1000);
	pthread_mutex_unlock(&agent->lock);
}

void fixture_restart(struct fixture *fixture)
{
	stop_agent(fixture);
	start_agent(fixture);
}

void fixture_scan(struct fixture *fixture)
{
	struct err err;

	assert_int_equal(scanner_scan(fixture->agent, &err), 0);
	recovery_run(fixture->agent);
}

struct create_request fixture_request(unsigned number, const char *profile)
{
	struct create_request request = { .principal = "instance-svc",
					  .owner = "vm",
					  .grant_gid = 200001 };

	fake_uuid(request.request_id, number);
	snprintf(request.profile, sizeof(request.profile), "%s", profile);
	return request;
}

unsigned fixture_available(struct fixture *fixture, const char *profile)
{
	struct host_view *view;
	struct err err;
	unsigned available = UINT32_MAX;

	assert_int_equal(agent_get_view(fixture->agent, &view, &err), 0);
	for (size_t i = 0; i < view->profile_count; i++)
		if (strcmp(view->profiles[i].name, profile) == 0)
			available = view->profiles[i].available;
	host_view_unref(view);
	return available;
}

int fixture_check_no_leak(struct fixture *fixture)
{
	struct fake_kernel kernel = fake_monitor_kernel(&fixture->monitor);
	struct allocation *rows = NULL;
	struct err err;
	size_t count = 0;

	assert_int_equal(records_load(fixture->records, &rows, &count, &err), 0);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(rows[i].state, ALLOCATION_READY);
		assert_non_null(fake_kernel_find(&kernel, rows[i].id));
	}
	assert_int_equal(fake_kernel_count(&kernel), count);
	free(rows);
	return (int)count;
}

int fixture_setup(void **state)
{
	struct fixture *fixture = malloc(sizeof(*fixture));

	fixture_init(fixture);
	fixture_scan(fixture);
	*state = fixture;
	return 0;
}

int fixture_teardown(void **state)
{
	fixture_done(*state);
	free(*state);
	return 0;
}
