/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of vGPU types.
 *
 *   name   := prefix " " board "-" [ slices "-" ] size series     "NVIDIA L40S-1Q"
 *   series := Q | B | B4 | A | C | CME | (nothing)                "GRID A100X-1-5CME"
 *
 * Callers may use the driver's name or the short form without the prefix; we answer with
 * the short form. Names that follow no such grammar (other vendors') are kept whole.
 */

#ifndef GPU_AGENT_SERVE_PROFILE_NAME_H
#define GPU_AGENT_SERVE_PROFILE_NAME_H

#include <stdbool.h>
#include <stdint.h>

/* In the order in which profiles are listed. */
enum profile_series {
	SERIES_Q,
	SERIES_B,
	SERIES_A,
	SERIES_C,
	SERIES_OTHER,
};

/* The part after "NVIDIA " or "GRID "; points into name. */
const char *profile_short_name(const char *name);

enum profile_series profile_series(const char *name);

/* The order in which profiles are listed: by series, by size, by name; as strcmp() answers. */
int profile_compare(const char *a, int64_t a_mb, const char *b, int64_t b_mb);

/* MiB, from the size in the name ("0" means 512 MiB); OPS_UNKNOWN if it has none. */
int32_t profile_framebuffer_mb(const char *name);

/* Of a type that is backed by a MIG instance ("A100-1-5C"): it shares no GPU by size. */
bool profile_has_slices(const char *name);

/*
 * How many vGPUs of this type one GPU carries, were they alone on it, by the framebuffer of its
 * board (vgpu_boards.def). The number of virtual functions may allow fewer. OPS_UNKNOWN for boards
 * that we do not know and for types that are backed by MIG instances ("A100-1-5C").
 */
int32_t profile_max_instance(const char *name);

/*
 * What stays of a type's directory name when its parent changes driver: "1147" of
 * "nvidia-1147" and of "vfio-pci-1147". Points into type.
 */
const char *profile_type_id(const char *type);

#endif
