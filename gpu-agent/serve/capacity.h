/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many vGPUs could be created now. Pure: no locks, no kernel.
 *
 * "available: N" is a promise: N creates of the profile, one after another, succeed if
 * nobody else acts. The rules behind it, per physical GPU:
 *
 *   - all vGPUs on it share one framebuffer size; series (Q, A, B, C) of it may mix;
 *   - max_instance counts all of them together;
 *   - one vGPU on each virtual function. available_instances of a function is 0 or 1 and
 *     must not be added up: each of 32 functions says 1 where 12 creates succeed;
 *   - a parent without virtual functions reports a budget, taken as it is.
 *
 * Where the truth cannot be known (sizes mixed by the host's settings, GPU instances of MIG
 * mode, which no file counts, a size or maximum that nobody told) the figure is a lower
 * bound and the GPU's reason says so.
 */

#ifndef GPU_AGENT_SERVE_CAPACITY_H
#define GPU_AGENT_SERVE_CAPACITY_H

#include "inventory.h"

/* A vGPU of ours on record, whether or not the kernel shows it at this moment. */
struct claim {
	char uuid[OPS_UUID_SIZE];
	struct pci_addr slot;
	int32_t framebuffer_mb; /* OPS_UNKNOWN */
	bool suspect;		/* the kernel is slow with it, or gave no answer */
};

/* A slot that gave trouble. */
struct troubled_slot {
	struct pci_addr slot;
	bool shunned; /* not to be used, whoever asks; else only the last choice */
	char reason[96];
};

struct capacity_input {
	const struct inventory *inventory;
	const struct claim *claims;
	size_t claim_count;
	const struct troubled_slot *troubled;
	size_t troubled_count;
};

struct gpu_load {
	unsigned total_slots, used_slots;
	unsigned free_slots;	/* neither used nor shunned */
	unsigned live;		/* vGPUs, ours and foreign, existing or claimed */
	unsigned unseen;	/* of these, claims that the inventory does not show */
	int32_t framebuffer_mb; /* of every vGPU on it; 0 without one; OPS_UNKNOWN */
	bool sliced;		/* in MIG mode, as far as its functions show it */
	bool sizes_mixed;	/* the host lets sizes mix: only the driver knows what fits */
	bool suspect;
	const struct troubled_slot *shunned; /* one of them, borrowed from the input; NULL */
};

enum slot_state {
	SLOT_FREE,
	SLOT_USED,
	SLOT_SHUNNED,
};

struct capacity {
	const struct inventory *inventory; /* borrowed from the input */
	struct gpu_load *loads;		   /* owned; one per GPU */
	enum slot_state *slots;		   /* owned; one per slot */
	bool *doubtful;			   /* owned; one per slot: free, but the last choice */
};

/* Why a GPU has room for no more. */
enum capacity_limit {
	LIMIT_NONE,	   /* there is room */
	LIMIT_BARRED,	   /* by root's policy */
	LIMIT_SUSPECT,	   /* the kernel does not answer for the GPU */
	LIMIT_NOT_OFFERED, /* the GPU has no such profile */
	LIMIT_SIZE_LOCKED,
	LIMIT_FULL, /* as many as the GPU can carry */
	LIMIT_NO_SLOT,
	LIMIT_DRIVER,  /* free slots, but the driver refuses this type */
	LIMIT_UNKNOWN, /* cannot be told */
};

struct room {
	unsigned count;
	enum capacity_limit limit; /* when count is 0 */
};

/* 0 or -ENOMEM. The input must stay as it is while the capacity is used. */
int capacity_init(struct capacity *capacity, const struct capacity_input *input);
void capacity_done(struct capacity *capacity);

struct room capacity_on_gpu(const struct capacity *capacity, size_t gpu, size_t profile);

/* Whether any slot of the GPU lists it, free or not. */
bool capacity_is_offered(const struct capacity *capacity, size_t gpu, size_t profile);

/* Over all GPUs. */
unsigned capacity_available(const struct capacity *capacity, size_t profile);

struct capacity_text {
	char s[192];
};

/* For people. A limit as the reason of a refusal, and what limits a GPU now ("": nothing). */
struct capacity_text capacity_limit_text(const struct capacity *capacity, size_t gpu,
					 size_t profile, enum capacity_limit limit);
struct capacity_text capacity_gpu_text(const struct capacity *capacity, size_t gpu);

/* For machines: "size_locked". */
const char *capacity_limit_word(enum capacity_limit limit);

#endif
