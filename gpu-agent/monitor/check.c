/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "job.h"

#define ANSWER_MS 10000 /* for the kernel to answer what one finding takes */
#define FAILED	  2	/* exit status: there is a failure, or nothing can be known */

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

static void write_finding(void *context, const struct op_finding *finding)
{
	const int *pipe_end = context;

	(void)!write(*pipe_end, finding, sizeof(*finding)); /* whole: it is less than PIPE_BUF */
}

/* The child may never end, so it keeps nothing that somebody could wait for but the pipe. */
static void __attribute__((noreturn)) run_child(const struct settings *settings, int pipe_end)
{
	struct host host = HOST_CLOSED;
	struct err err;
	int null = open("/dev/null", O_RDWR);

	if (host_open(settings->sysfs_root, settings->dev_root, &host, &err) < 0) {
		log_error("%s", err.message);
		_exit(1);
	}
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
	    dup2(null, STDERR_FILENO) < 0)
		_exit(1);
	check_all(&(struct check){ &host, &settings->policy, write_finding, &pipe_end });
	_exit(0);
}

static void print_finding(const struct op_finding *finding)
{
	static const char *const words[] = { "PASS", "WARN", "FAIL" };

	printf("%s  %s%s%s: %s\n", words[finding->level], finding->check,
	       finding->subject[0] ? " " : "", finding->subject, finding->message);
	if (finding->fix[0])
		printf("      fix: %s\n", finding->fix);
}

/* 1: a finding; 0: there are no more; -1: none came in time. */
static int next_finding(int pipe_end, struct op_finding *ret)
{
	struct pollfd fd = { .fd = pipe_end, .events = POLLIN };

	if (poll(&fd, 1, ANSWER_MS) <= 0)
		return -1;
	return read(pipe_end, ret, sizeof(*ret)) == (ssize_t)sizeof(*ret);
}

static int print_all(const struct settings *settings, int pipe_end, pid_t pid)
{
	int worst = OP_LEVEL_PASS, status, r; /* the levels are the exit statuses */
	struct op_finding finding;

	while ((r = next_finding(pipe_end, &finding)) > 0) {
		print_finding(&finding);
		worst = (int)finding.level > worst ? (int)finding.level : worst;
	}
	if (r == 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status))
		return WEXITSTATUS(status) == 0 ? worst : FAILED;
	kill(pid, SIGKILL);
	printf("FAIL  kernel: %s does not answer\n"
	       "      fix: see \"dmesg\" for a driver that hangs; a reboot ends it\n",
	       settings->sysfs_root);
	return FAILED;
}

int check_main(const struct settings *settings)
{
	int ends[2], status;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0) {
		log_error("cannot make a pipe: %s", strerror(errno));
		return FAILED;
	}
	pid = fork();
	if (pid == 0) {
		close(ends[0]);
		run_child(settings, ends[1]);
	}
	close(ends[1]);
	if (pid < 0)
		log_error("cannot fork: %s", strerror(errno));
	status = pid < 0 ? FAILED : print_all(settings, ends[0], pid);
	close(ends[0]);
	return status;
}
