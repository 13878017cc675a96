/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kind of GPU, read from a text file: its PCI identity and the vGPU types that its driver
 * offers. The format is described in README.md. A board that loaded is whole and consistent;
 * nothing after board_load() checks it again.
 */

#ifndef SIMHOST_BOARD_H
#define SIMHOST_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/scoped.h"

#define BOARD_TYPES_MAX	 64
#define BOARD_NAME_SIZE	 32
#define BOARD_WORD_SIZE	 32
#define BOARD_TITLE_SIZE 64
#define BOARD_TEXT_SIZE	 256

/* Which vGPUs may live on one physical GPU together. */
enum board_sharing {
	BOARD_EQUAL_SIZE, /* only those of one framebuffer size; series may mix */
	BOARD_ANY_SIZE,	  /* whatever fits */
	BOARD_INSTANCES,  /* MIG mode: one for each GPU instance of the type's shape */
};

struct board_type {
	char id[BOARD_WORD_SIZE];    /* directory name without "<driver>-" */
	char name[BOARD_TITLE_SIZE]; /* empty: the driver has no name file */
	char description[BOARD_TEXT_SIZE];
	uint64_t framebuffer_mb;
	uint64_t max_instance; /* per physical GPU */
	uint64_t instances;    /* of BOARD_INSTANCES: GPU instances that it has for this type */
};

struct board {
	char name[BOARD_NAME_SIZE]; /* the file's name without ".board" */
	uint64_t vendor, device, subsystem_vendor, subsystem_device;
	uint64_t class_code; /* 0x030200 */
	uint64_t revision;
	char driver[BOARD_WORD_SIZE];	   /* of the function and of its VFs */
	char mdev_driver[BOARD_WORD_SIZE]; /* of the vGPUs */
	char vendor_dir[BOARD_WORD_SIZE];  /* directory of a vGPU with vgpu_params; empty: none */
	char node[BOARD_WORD_SIZE]; /* "nvidia": the driver makes /dev/nvidiaN; empty: none */
	char reset_method[BOARD_WORD_SIZE];
	char vf_reset_method[BOARD_WORD_SIZE];
	uint64_t audio_vendor, audio_device; /* function 1 of a whole GPU; 0: none */
	uint64_t vfs;			     /* 0: the physical function is the mdev parent */
	uint64_t framebuffer_mb;	     /* what vGPUs may take in all */
	uint64_t boot_vga;		     /* 1: the display that the firmware used */
	enum board_sharing sharing;
	int refusal; /* errno of a create that the driver refuses */
	size_t type_count;
	struct board_type types[BOARD_TYPES_MAX];
};

/* Reads DIR/NAME.board. An error names the file, the line and the word at fault. */
int board_load(const char *dir, const char *name, struct board **ret, struct err *err);
void board_free(struct board *board);

SCOPED_DEFINE(struct board *, board_free);

#endif
