/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU, taken over by its guest, says anything on its monitor. */
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "instance-svc/supervisor/qmp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct qmp qmp;
	enum qmp_event event = QMP_NOTHING;
	unsigned ready = 0;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
		return 0;
	qmp_init(&qmp, ends[0]);
	for (size_t at = 0; at < size && event != QMP_BROKEN;) {
		size_t used = qmp_feed(&qmp, (const char *)data + at, size - at, &event);

		if (used == 0 || used > size - at)
			abort();
		at += used;
		ready += event == QMP_READY;
	}
	if (ready > 1)
		abort();
	close(ends[0]);
	close(ends[1]);
	return 0;
}
