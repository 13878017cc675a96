/* SPDX-License-Identifier: Apache-2.0 */
#include "image_digest.h"

#include <endian.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define PREFIX	     "sha256:"
#define PREFIX_CHARS (sizeof(PREFIX) - 1)
#define HEX_CHARS    64
#define BLOCK_BYTES  64

bool image_digest_is_valid(const char *text)
{
	return strncmp(text, PREFIX, PREFIX_CHARS) == 0 &&
	       strlen(text) == PREFIX_CHARS + HEX_CHARS &&
	       strspn(text + PREFIX_CHARS, "0123456789abcdef") == HEX_CHARS;
}

/* Fractional parts of the cube roots of the first 64 primes: FIPS 180-4, 4.2.2. */
static const uint32_t round_constants[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
	0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
	0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
	0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
	0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
	0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
	0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
	0xc67178f2,
};

static uint32_t rotate(uint32_t x, int bits)
{
	return x >> bits | x << (32 - bits);
}

static void schedule_make(const uint8_t block[BLOCK_BYTES], uint32_t w[64])
{
	for (int i = 0; i < 16; i++) {
		uint32_t word;

		memcpy(&word, block + 4 * i, sizeof(word));
		w[i] = be32toh(word);
	}
	for (int i = 16; i < 64; i++) {
		uint32_t a = w[i - 15], b = w[i - 2];

		w[i] = w[i - 16] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) + w[i - 7] +
		       (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
	}
}

static void block_add(uint32_t hash[8], const uint8_t block[BLOCK_BYTES])
{
	uint32_t w[64], v[8];

	schedule_make(block, w);
	memcpy(v, hash, sizeof(v));
	for (int i = 0; i < 64; i++) {
		uint32_t a = v[0], e = v[4];
		uint32_t choice = (e & v[5]) ^ (~e & v[6]);
		uint32_t majority = (a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]);
		uint32_t t1 = v[7] + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + choice +
			      round_constants[i] + w[i];
		uint32_t t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + majority;

		memmove(v + 1, v, 7 * sizeof(v[0]));
		v[4] += t1;
		v[0] = t1 + t2;
	}
	for (int i = 0; i < 8; i++)
		hash[i] += v[i];
}

/* The rest, a one bit, zeros, and the length in bits: one block or two. */
static void end_add(uint32_t hash[8], const uint8_t *rest, size_t rest_bytes, uint64_t all_bytes)
{
	uint8_t tail[2 * BLOCK_BYTES] = { 0 };
	size_t size = rest_bytes + 9 <= BLOCK_BYTES ? BLOCK_BYTES : 2 * BLOCK_BYTES;
	uint64_t bits = htobe64(all_bytes * 8);

	if (rest_bytes > 0)
		memcpy(tail, rest, rest_bytes);
	tail[rest_bytes] = 0x80;
	memcpy(tail + size - sizeof(bits), &bits, sizeof(bits));
	for (size_t at = 0; at < size; at += BLOCK_BYTES)
		block_add(hash, tail + at);
}

struct image_digest image_digest_of(const void *data, size_t length)
{
	uint32_t hash[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
			     0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
	struct image_digest digest = { .s = PREFIX };
	const uint8_t *bytes = data;
	size_t whole = length - length % BLOCK_BYTES;

	for (size_t at = 0; at < whole; at += BLOCK_BYTES)
		block_add(hash, bytes + at);
	end_add(hash, whole == length ? NULL : bytes + whole, length - whole, length);
	for (int i = 0; i < 8; i++)
		snprintf(digest.s + PREFIX_CHARS + 8 * i, 9, "%08x", hash[i]);
	return digest;
}
