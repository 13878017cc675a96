/* SPDX-License-Identifier: Apache-2.0 */
#include "qmp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cjson/cJSON.h>

#include "common/send_fd.h"

void qmp_init(struct qmp *qmp, int fd)
{
	qmp->fd = fd;
	qmp->greeted = false;
	qmp->ready = false;
	qmp->size = 0;
	qmp->text[0] = '\0';
}

static int send_command(struct qmp *qmp, const char *command, const char *arguments, int fd)
{
	char text[256];
	int length = snprintf(text, sizeof(text), "{\"execute\":\"%s\"%s%s}\n", command,
			      arguments ? ",\"arguments\":" : "", arguments ? arguments : "");

	if (length < 0 || (size_t)length >= sizeof(text))
		return -EINVAL;
	/* Commands are short: a socket that does not take one at once is broken. */
	return send_fd(qmp->fd, text, (size_t)length, fd);
}

int qmp_execute_with(struct qmp *qmp, const char *command, const char *arguments, int fd)
{
	return qmp->fd < 0 || !qmp->ready ? -ENOTCONN : send_command(qmp, command, arguments, fd);
}

int qmp_execute(struct qmp *qmp, const char *command)
{
	return qmp_execute_with(qmp, command, NULL, -1);
}

static void copy_text(struct qmp *qmp, const cJSON *text)
{
	snprintf(qmp->text, sizeof(qmp->text), "%s",
		 cJSON_IsString(text) ? text->valuestring : "no reason given");
}

static enum qmp_event read_event(struct qmp *qmp, const char *name, const cJSON *data)
{
	if (strcmp(name, "SHUTDOWN") == 0) {
		copy_text(qmp, cJSON_GetObjectItemCaseSensitive(data, "reason"));
		return QMP_SHUTDOWN;
	}
	if (strcmp(name, "MIGRATION") == 0) {
		copy_text(qmp, cJSON_GetObjectItemCaseSensitive(data, "status"));
		return QMP_MIGRATION;
	}
	if (strcmp(name, "GUEST_PANICKED") == 0)
		return QMP_PANICKED;
	return QMP_NOTHING;
}

static enum qmp_event read_error(struct qmp *qmp, const cJSON *error)
{
	copy_text(qmp, cJSON_GetObjectItemCaseSensitive(error, "desc"));
	return QMP_REFUSED;
}

/* A count that QEMU may have made up: -1 for what is none. */
static int64_t read_count(const cJSON *stats, const char *name)
{
	const cJSON *count = cJSON_GetObjectItemCaseSensitive(stats, name);

	if (!cJSON_IsNumber(count) || count->valuedouble < 0 || count->valuedouble > 9e15)
		return -1;
	return (int64_t)count->valuedouble;
}

static enum qmp_event read_block_stats(struct qmp *qmp, const cJSON *disks)
{
	const cJSON *disk;

	qmp->read_bytes = qmp->write_bytes = -1;
	cJSON_ArrayForEach(disk, disks)
	{
		const cJSON *node = cJSON_GetObjectItemCaseSensitive(disk, "node-name");
		const cJSON *stats = cJSON_GetObjectItemCaseSensitive(disk, "stats");

		if (!cJSON_IsString(node) || strcmp(node->valuestring, QMP_STATS_NODE) != 0)
			continue;
		qmp->read_bytes = read_count(stats, "rd_bytes");
		qmp->write_bytes = read_count(stats, "wr_bytes");
	}
	return QMP_BLOCKSTATS;
}

/* The greeting comes once and first; the first answer is that to qmp_capabilities. */
static enum qmp_event read_message(struct qmp *qmp, const cJSON *message)
{
	const cJSON *event = cJSON_GetObjectItemCaseSensitive(message, "event");
	const cJSON *error = cJSON_GetObjectItemCaseSensitive(message, "error");
	const cJSON *answer = cJSON_GetObjectItemCaseSensitive(message, "return");

	if (!qmp->greeted) {
		if (!cJSON_GetObjectItemCaseSensitive(message, "QMP"))
			return QMP_BROKEN;
		qmp->greeted = true;
		return send_command(qmp, "qmp_capabilities", NULL, -1) < 0 ? QMP_BROKEN
									   : QMP_NOTHING;
	}
	if (cJSON_IsString(event))
		return read_event(qmp, event->valuestring,
				  cJSON_GetObjectItemCaseSensitive(message, "data"));
	if (error)
		return read_error(qmp, error);
	if (!answer)
		return QMP_BROKEN;
	if (qmp->ready) /* of our commands, only query-blockstats answers with a list */
		return cJSON_IsArray(answer) ? read_block_stats(qmp, answer) : QMP_NOTHING;
	qmp->ready = true;
	return QMP_READY;
}

static enum qmp_event read_line(struct qmp *qmp)
{
	cJSON *message = cJSON_ParseWithLength(qmp->line, qmp->size);
	enum qmp_event event = cJSON_IsObject(message) ? read_message(qmp, message) : QMP_BROKEN;

	cJSON_Delete(message);
	return event;
}

size_t qmp_feed(struct qmp *qmp, const char *bytes, size_t size, enum qmp_event *ret_event)
{
	*ret_event = QMP_NOTHING;
	for (size_t i = 0; i < size; i++) {
		if (bytes[i] == '\n') {
			if (qmp->size > 0)
				*ret_event = read_line(qmp);
			qmp->size = 0;
			return i + 1;
		}
		if (qmp->size == sizeof(qmp->line)) {
			*ret_event = QMP_BROKEN;
			return size;
		}
		qmp->line[qmp->size++] = bytes[i];
	}
	return size;
}
