/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest without an operating system, for cases in which a virtual machine only has to hold its
 * device: it starts in a second where Linux, emulated twice, takes most of a minute. It lists
 * the PCI functions that it finds on its first serial port, as the demo image does, then stands
 * still. If it has 512 MiB or more it first makes its host give it all of them.
 */
#include <stdint.h>

#define MULTIBOOT_MAGIC	      0x1badb002u
#define MULTIBOOT_WANT_MEMORY 2u
#define INFO_HAS_MEMORY	      1u

#define COM1		 0x3f8
#define COM1_LINE_STATUS (COM1 + 5)
#define LINE_IS_EMPTY	 0x20
#define CONFIG_ADDRESS	 0xcf8
#define CONFIG_DATA	 0xcfc

#define BUSES	      8 /* enough for a few ports */
#define GREEDY_KIB    (512u << 10)
#define FREE_FROM     (16u << 20) /* behind this program, and what the firmware put there */
#define PAGE	      4096u
#define MULTIFUNCTION 0x800000u
#define COMMAND_SPACE 2u
#define TEST_PATTERN  0x600df00du

struct multiboot_info {
	uint32_t flags;
	uint32_t lower_kib;
	uint32_t upper_kib; /* from 1 MiB to the first hole */
};

__attribute__((section(".multiboot"), used)) static const uint32_t multiboot_header[] = {
	MULTIBOOT_MAGIC,
	MULTIBOOT_WANT_MEMORY,
	-(MULTIBOOT_MAGIC + MULTIBOOT_WANT_MEMORY),
};

__attribute__((used)) static uint8_t stack[8192];

static void out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static uint8_t in8(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static void out32(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static uint32_t in32(uint16_t port)
{
	uint32_t value;

	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static void say(const char *text)
{
	for (; *text; text++) {
		while (!(in8(COM1_LINE_STATUS) & LINE_IS_EMPTY))
			;
		out8(COM1, (uint8_t)*text);
	}
}

static void say_hex(uint32_t value, int digits)
{
	char text[2] = { 0 };

	while (digits--) {
		text[0] = "0123456789abcdef"[value >> digits * 4 & 15];
		say(text);
	}
}

static uint32_t config(uint32_t bus, uint32_t device, uint32_t function, uint32_t offset)
{
	out32(CONFIG_ADDRESS, 1u << 31 | bus << 16 | device << 11 | function << 8 | offset);
	return in32(CONFIG_DATA);
}

/* The first region, where it is memory of its own below 4 GiB. */
static void try_memory(uint32_t command, uint32_t base)
{
	volatile uint32_t *word = (volatile uint32_t *)(uintptr_t)(base & ~15u);

	if (!(command & COMMAND_SPACE) || base & 1 || !word)
		return;
	*word = TEST_PATTERN;
	say(*word == TEST_PATTERN ? ", its memory keeps what is written" : ", its memory is inert");
}

/* Its line; false: there is none. */
static int list_function(uint32_t bus, uint32_t device, uint32_t function)
{
	uint32_t id = config(bus, device, function, 0);

	if ((id & 0xffff) == 0xffff)
		return 0;
	say("  0000:");
	say_hex(bus, 2);
	say(":");
	say_hex(device, 2);
	say(".");
	say_hex(function, 1);
	say(" ");
	say_hex(id & 0xffff, 4);
	say(":");
	say_hex(id >> 16, 4);
	say(" class ");
	say_hex(config(bus, device, function, 8) >> 8, 6);
	if ((id & 0xffff) == 0x10de)
		try_memory(config(bus, device, function, 4), config(bus, device, function, 0x10));
	say("\n");
	return 1;
}

static void list_functions(void)
{
	say("PCI functions:\n");
	for (uint32_t bus = 0; bus < BUSES; bus++)
		for (uint32_t device = 0; device < 32; device++)
			for (uint32_t function = 0; function < 8; function++) {
				if (!list_function(bus, device, function) && function == 0)
					break;
				if (!(config(bus, device, 0, 0xc) & MULTIFUNCTION))
					break;
			}
}

static void use_memory(const struct multiboot_info *info)
{
	if (!(info->flags & INFO_HAS_MEMORY) || info->upper_kib < GREEDY_KIB)
		return;
	say("using all memory\n");
	for (uint32_t at = FREE_FROM; at < (1u << 20) + (info->upper_kib << 10); at += PAGE)
		*(volatile uint32_t *)(uintptr_t)at = at;
}

__attribute__((used)) static void look(const struct multiboot_info *info)
{
	say("looking, without an operating system\n");
	list_functions();
	use_memory(info);
	say("ready\n");
	for (;;)
		__asm__ volatile("cli; hlt");
}

/* Multiboot leaves the information's address in ebx, and no stack. */
__attribute__((naked, used, section(".start"))) void start(void)
{
	__asm__ volatile("movl $stack + 8192, %esp; pushl %ebx; call look");
}
