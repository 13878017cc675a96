/* SPDX-License-Identifier: Apache-2.0 */
/* The command "fault": which, where, and how much. */

#include <errno.h>
#include <string.h>

#include "control.h"
#include "late.h"

/* One order, not yet put on functions. */
struct order {
	enum op op; /* OP_NONE: a fault of the function itself */
	const struct fault_name *fault;
	uint32_t number;
};

enum fault_kind {
	FAULT_HANG,
	FAULT_HANG_BEFORE,
	FAULT_IGNORED,
	FAULT_EIO,
	FAULT_BUSY,
	FAULT_LIE,
	FAULT_LIST_PLAIN,
	FAULT_LIST_SHORT,
	FAULT_SLOW_CLOSE,
	FAULT_READ_WELL,
	FAULT_READ_EIO,
	FAULT_READ_ENXIO,
	FAULT_READ_HANG,
};

struct fault_name {
	const char *name;
	enum fault_kind kind;
	bool takes_number;
	uint32_t max; /* of the number */
};

/* After "create-", "unbind-", ... */
static const struct fault_name op_faults[] = {
	{ "hang", FAULT_HANG, false, 0 },	{ "hang-before", FAULT_HANG_BEFORE, false, 0 },
	{ "ignored", FAULT_IGNORED, false, 0 }, { "eio", FAULT_EIO, true, 999999999 },
	{ "busy", FAULT_BUSY, true, 86400 },
};

static const struct fault_name own_faults[] = {
	{ "lie", FAULT_LIE, false, 0 },
	{ "list-plain", FAULT_LIST_PLAIN, false, 0 },
	{ "list-short", FAULT_LIST_SHORT, true, BOARD_TYPES_MAX },
	{ "slow-close", FAULT_SLOW_CLOSE, true, 86400 },
	{ "read-well", FAULT_READ_WELL, false, 0 },
	{ "read-eio", FAULT_READ_EIO, false, 0 },
	{ "read-enxio", FAULT_READ_ENXIO, false, 0 },
	{ "read-hang", FAULT_READ_HANG, false, 0 },
};

/* ---- reading ------------------------------------------------------------------- */

static const struct fault_name *name_find(const struct fault_name *names, size_t count,
					  const char *word)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i].name, word) == 0)
			return &names[i];
	return NULL;
}

static int order_name_parse(const char *word, struct order *ret)
{
	ret->op = OP_NONE;
	ret->fault = name_find(own_faults, sizeof(own_faults) / sizeof(own_faults[0]), word);
	for (enum op op = OP_NONE + 1; op < OP_COUNT && !ret->fault; op++) {
		size_t length = strlen(op_name(op));

		if (strncmp(word, op_name(op), length) != 0 || word[length] != '-')
			continue;
		ret->op = op;
		ret->fault = name_find(op_faults, sizeof(op_faults) / sizeof(op_faults[0]),
				       word + length + 1);
	}
	return ret->fault ? 0 : -EINVAL;
}

/* "fault NAME WHERE [NUMBER]" */
static int order_parse(char *const *words, size_t count, struct order *ret)
{
	if (count < 3 || order_name_parse(words[1], ret) < 0)
		return -EINVAL;
	if (count != (ret->fault->takes_number ? 4 : 3))
		return -EINVAL;
	ret->number = 0;
	if (ret->fault->takes_number && control_number(words[3], &ret->number) < 0)
		return -EINVAL;
	return ret->number <= ret->fault->max ? 0 : -EINVAL;
}

/* ---- putting ------------------------------------------------------------------- */

static enum read_fault read_fault_of(enum fault_kind kind)
{
	switch (kind) {
	case FAULT_READ_EIO:
		return READ_EIO;
	case FAULT_READ_ENXIO:
		return READ_ENXIO;
	case FAULT_READ_HANG:
		return READ_HANG;
	default:
		return READ_WELL;
	}
}

static bool is_parent(const struct function *function)
{
	return function->kind ==
	       (function->gpu->board->vfs > 0 ? FUNCTION_VIRTUAL : FUNCTION_PHYSICAL);
}

/* Whether this function can have the fault at all. */
static bool order_fits(const struct order *order, const struct function *function)
{
	enum spec_mode mode = function->gpu->mode;

	if (order->op == OP_CREATE || order->op == OP_REMOVE)
		return mode == SPEC_MDEV && is_parent(function);
	if (order->op == OP_TYPE)
		return mode == SPEC_VENDOR && is_parent(function);
	switch (order->fault->kind) {
	case FAULT_LIE:
		return mode != SPEC_PASSTHROUGH && is_parent(function);
	case FAULT_LIST_PLAIN:
	case FAULT_LIST_SHORT:
		return mode == SPEC_VENDOR && is_parent(function);
	default:
		return true;
	}
}

static void order_put_on_op(const struct host *host, const struct order *order,
			    struct op_faults *faults)
{
	switch (order->fault->kind) {
	case FAULT_HANG:
		faults->hang = true;
		break;
	case FAULT_HANG_BEFORE:
		faults->hang_before = true;
		break;
	case FAULT_IGNORED:
		faults->ignored = true;
		break;
	case FAULT_EIO:
		faults->eio = order->number;
		break;
	default:
		faults->busy_till = host_now_ms(host) + (int64_t)order->number * 1000;
	}
}

static void order_put(const struct host *host, const struct order *order, struct faults *faults)
{
	if (order->op != OP_NONE) {
		order_put_on_op(host, order, &faults->ops[order->op]);
		return;
	}
	switch (order->fault->kind) {
	case FAULT_LIE:
		faults->lies = true;
		break;
	case FAULT_LIST_PLAIN:
		faults->plain_list = true;
		break;
	case FAULT_LIST_SHORT:
		faults->short_list = true;
		faults->list_length = order->number;
		break;
	case FAULT_SLOW_CLOSE:
		faults->slow_close_ms = order->number * 1000;
		break;
	default:
		faults->read = read_fault_of(order->fault->kind);
	}
}

static int order_put_on_path(struct host *host, const struct order *order, const char *path)
{
	struct node node;

	if (strncmp(order->fault->name, "read-", 5) != 0 || tree_resolve(host, path, &node) < 0)
		return -EINVAL;
	return late_set_read_fault(host, node, read_fault_of(order->fault->kind));
}

int control_fault(struct host *host, char *const *words, size_t count)
{
	struct function *function;
	struct order order;

	if (order_parse(words, count, &order) < 0)
		return -EINVAL;
	if (strchr(words[2], '/'))
		return order_put_on_path(host, &order, words[2]);
	if (strcmp(words[2], "*") != 0) {
		function = control_function(host, words[2]);
		if (!function || !order_fits(&order, function))
			return -EINVAL;
		order_put(host, &order, &function->faults);
		return 0;
	}
	for (size_t i = 0; i < host->function_count; i++)
		if (order_fits(&order, &host->functions[i]))
			order_put(host, &order, &host->functions[i].faults);
	return 0;
}

/* ---- showing ------------------------------------------------------------------- */

static void op_faults_show(const struct host *host, enum op op, const struct op_faults *faults,
			   const char *address, FILE *out)
{
	int64_t busy_ms = faults->busy_till - host_now_ms(host);

	if (faults->hang)
		fprintf(out, "fault %s-hang %s\n", op_name(op), address);
	if (faults->hang_before)
		fprintf(out, "fault %s-hang-before %s\n", op_name(op), address);
	if (faults->ignored)
		fprintf(out, "fault %s-ignored %s\n", op_name(op), address);
	if (faults->eio > 0)
		fprintf(out, "fault %s-eio %s %u\n", op_name(op), address, faults->eio);
	if (faults->busy_till > 0 && busy_ms > 0)
		fprintf(out, "fault %s-busy %s %lld\n", op_name(op), address,
			(long long)(busy_ms + 999) / 1000);
}

static void own_faults_show(const struct faults *faults, const char *address, FILE *out)
{
	static const char *const reads[] = {
		[READ_EIO] = "eio",
		[READ_ENXIO] = "enxio",
		[READ_HANG] = "hang",
	};

	if (faults->lies)
		fprintf(out, "fault lie %s\n", address);
	if (faults->plain_list)
		fprintf(out, "fault list-plain %s\n", address);
	if (faults->short_list)
		fprintf(out, "fault list-short %s %u\n", address, faults->list_length);
	if (faults->slow_close_ms > 0)
		fprintf(out, "fault slow-close %s %u\n", address, faults->slow_close_ms / 1000);
	if (faults->read != READ_WELL)
		fprintf(out, "fault read-%s %s\n", reads[faults->read], address);
}

void control_faults_show(const struct host *host, FILE *out)
{
	unsigned int path_count = 0;

	for (size_t i = 0; i < host->function_count; i++) {
		const struct function *function = &host->functions[i];
		const struct bdf_text address = bdf_text(function->address);

		for (enum op op = OP_NONE + 1; op < OP_COUNT; op++)
			op_faults_show(host, op, &function->faults.ops[op], address.s, out);
		own_faults_show(&function->faults, address.s, out);
	}
	for (const struct path_fault *at = host->path_faults; at; at = at->next)
		path_count++;
	if (path_count > 0)
		fprintf(out, "fault read-* on %u files\n", path_count);
}
