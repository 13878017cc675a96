/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "common/log.h"
#include "job.h"

#define ANSWER_MS 30000 /* for the kernel to say all there is to say */
#define STEP_MS	  20
#define FAILED	  2 /* exit status: there is a failure, or nothing can be known */

void check_add(const struct check *check, enum op_level level, const char *name,
	       const char *subject, const char *fix, const char *format, ...)
{
	struct op_finding finding;
	va_list args;

	memset(&finding, 0, sizeof(finding)); /* it crosses to another process */
	finding.level = level;
	snprintf(finding.check, sizeof(finding.check), "%s", name);
	snprintf(finding.subject, sizeof(finding.subject), "%s", subject);
	snprintf(finding.fix, sizeof(finding.fix), "%s", fix);
	va_start(args, format);
	vsnprintf(finding.message, sizeof(finding.message), format, args);
	va_end(args);
	check->found(check->context, &finding);
}

static void check_all(const struct check *check)
{
	check_gpus(check);
	check_machine(check);
}

/* ---- OP_CHECK_HOST ------------------------------------------------------------------- */

static void send_finding(void *context, const struct op_finding *finding)
{
	struct op_record record;

	job_record_init(&record, OP_RECORD_FINDING);
	record.finding = *finding;
	job_send(context, &record);
}

void check_run(struct job *job)
{
	check_all(&(struct check){ &job->host, job->policy, send_finding, job });
	job_end(job, OP_OK, 0, "%u findings", job->result.records);
}

/* ---- gpu-agent --check --------------------------------------------------------------- */

static void print_finding(void *context, const struct op_finding *finding)
{
	static const char *const words[] = { "PASS", "WARN", "FAIL" };
	enum op_level *worst = context;

	if (finding->level > *worst)
		*worst = finding->level;
	printf("%s  %s%s%s: %s\n", words[finding->level], finding->check,
	       finding->subject[0] ? " " : "", finding->subject, finding->message);
	if (finding->fix[0])
		printf("      fix: %s\n", finding->fix);
	fflush(stdout);
}

/* The levels are the exit statuses. */
static int print_all(const struct settings *settings)
{
	struct host host = HOST_CLOSED;
	enum op_level worst = OP_LEVEL_PASS;
	struct err err;

	if (host_open(settings->sysfs_root, settings->dev_root, &host, &err) < 0) {
		log_error("%s", err.message);
		return FAILED;
	}
	check_all(&(struct check){ &host, &settings->policy, print_finding, &worst });
	host_close(&host);
	return (int)worst;
}

/* In a child, because the kernel may never answer. */
int check_main(const struct settings *settings)
{
	const struct timespec step = { .tv_nsec = STEP_MS * 1000000L };
	pid_t pid = fork();
	int status;

	if (pid < 0) {
		log_error("cannot fork: %s", strerror(errno));
		return FAILED;
	}
	if (pid == 0)
		_exit(print_all(settings));
	for (int waited = 0; waited < ANSWER_MS; waited += STEP_MS) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : FAILED;
		nanosleep(&step, NULL);
	}
	kill(pid, SIGKILL);
	printf("FAIL  kernel: %s does not answer\n"
	       "      fix: see \"dmesg\" for a driver that hangs; a reboot ends it\n",
	       settings->sysfs_root);
	return FAILED;
}
