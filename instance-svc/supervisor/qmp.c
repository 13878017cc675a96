/* SPDX-License-Identifier: Apache-2.0 */
#include "qmp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cjson/cJSON.h>

void qmp_init(struct qmp *qmp, int fd)
{
	qmp->fd = fd;
	qmp->greeted = false;
	qmp->ready = false;
	qmp->size = 0;
	qmp->text[0] = '\0';
}

/* Commands are short: a socket that does not take one at once is broken. */
static int send_command(struct qmp *qmp, const char *command)
{
	char text[128];
	int length = snprintf(text, sizeof(text), "{\"execute\":\"%s\"}\n", command);
	ssize_t n;

	if (length < 0 || (size_t)length >= sizeof(text))
		return -EINVAL;
	n = send(qmp->fd, text, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0)
		return -errno;
	return n == length ? 0 : -EIO;
}

int qmp_execute(struct qmp *qmp, const char *command)
{
	return qmp->fd < 0 || !qmp->ready ? -ENOTCONN : send_command(qmp, command);
}

static enum qmp_event read_event(struct qmp *qmp, const char *name, const cJSON *data)
{
	const cJSON *reason = cJSON_GetObjectItemCaseSensitive(data, "reason");

	if (strcmp(name, "SHUTDOWN") == 0) {
		snprintf(qmp->text, sizeof(qmp->text), "%s",
			 cJSON_IsString(reason) ? reason->valuestring : "no reason given");
		return QMP_SHUTDOWN;
	}
	if (strcmp(name, "GUEST_PANICKED") == 0)
		return QMP_PANICKED;
	return QMP_NOTHING;
}

static enum qmp_event read_error(struct qmp *qmp, const cJSON *error)
{
	const cJSON *text = cJSON_GetObjectItemCaseSensitive(error, "desc");

	snprintf(qmp->text, sizeof(qmp->text), "%s",
		 cJSON_IsString(text) ? text->valuestring : "no reason given");
	return QMP_REFUSED;
}

/* The greeting comes once and first; the first answer is that to qmp_capabilities. */
static enum qmp_event read_message(struct qmp *qmp, const cJSON *message)
{
	const cJSON *event = cJSON_GetObjectItemCaseSensitive(message, "event");
	const cJSON *error = cJSON_GetObjectItemCaseSensitive(message, "error");

	if (!qmp->greeted) {
		if (!cJSON_GetObjectItemCaseSensitive(message, "QMP"))
			return QMP_BROKEN;
		qmp->greeted = true;
		return send_command(qmp, "qmp_capabilities") < 0 ? QMP_BROKEN : QMP_NOTHING;
	}
	if (cJSON_IsString(event))
		return read_event(qmp, event->valuestring,
				  cJSON_GetObjectItemCaseSensitive(message, "data"));
	if (error)
		return read_error(qmp, error);
	if (!cJSON_GetObjectItemCaseSensitive(message, "return"))
		return QMP_BROKEN;
	if (qmp->ready)
		return QMP_NOTHING;
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
