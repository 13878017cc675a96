/* SPDX-License-Identifier: Apache-2.0 */
#include "fault.h"

#include <stddef.h>

static const struct {
	const char *name;
	bool takes_lock;
} ops[OP_COUNT] = {
	[OP_CREATE] = { "create", false },    [OP_REMOVE] = { "remove", false },
	[OP_TYPE] = { "type", false },	      [OP_BIND] = { "bind", true },
	[OP_UNBIND] = { "unbind", true },     [OP_PROBE] = { "probe", true },
	[OP_OVERRIDE] = { "override", true }, [OP_RESET] = { "reset", true },
};

const char *op_name(enum op op)
{
	return ops[op].name;
}

bool op_takes_lock(enum op op)
{
	return ops[op].takes_lock;
}
