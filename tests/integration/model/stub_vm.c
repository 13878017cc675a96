/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands where QEMU would, for tests that make thousands of instances: it says on the QMP socket
 * that the VM runs, on the report port that the guest does, and ends when it is asked to.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "instance-svc/supervisor/protocol.h"

static int say(int fd, const char *text)
{
	return write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
}

/* 1: the VM shall end. */
static int answer(const char *command)
{
	if (strstr(command, "query-blockstats"))
		return say(VM_FD_QMP, "{\"return\": []}\n");
	if (!strstr(command, "\"system_powerdown\"") && !strstr(command, "\"quit\""))
		return say(VM_FD_QMP, "{\"return\": {}}\n");
	(void)say(VM_FD_QMP,
		  "{\"return\": {}}\n"
		  "{\"event\": \"SHUTDOWN\", \"data\": {\"reason\": \"guest-shutdown\"}}\n");
	return 1;
}

static int run(void)
{
	char line[4096];
	FILE *commands = fdopen(VM_FD_QMP, "r");

	if (!commands || say(VM_FD_QMP, "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\n") ||
	    say(VM_FD_REPORT, "started\n"))
		return 1;
	while (fgets(line, sizeof(line), commands)) {
		int r = answer(line);

		if (r != 0)
			return r < 0;
	}
	return 0;
}

/* What instance-svc asks QEMU for when it starts: its machines, and whether KVM works (no). */
int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "-machine") == 0) {
		puts("q35                  no PC at all (alias of pc-q35-7.2)");
		return 0;
	}
	for (int i = 1; i + 1 < argc; i++)
		if (strcmp(argv[i], "-chardev") == 0 && strstr(argv[i + 1], "id=qmp"))
			return run();
	return 1;
}
