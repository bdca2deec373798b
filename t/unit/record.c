/*-------------------------------------------------------------------------
 *
 * record.c
 *	  Test of the records of the receiver's spool, receiver/record.c.
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "receiver.h"
#include "unit.h"

static int	file = -1;

/* A file in memory with this content. */
static void
fill(const uint8_t *data, size_t size)
{
	if (file < 0)
	{
		file = memfd_create("record", MFD_CLOEXEC);
		record_init();
	}
	if (file < 0 || ftruncate(file, 0) != 0 ||
		pwrite(file, data, size, 0) != (ssize_t) size || lseek(file, 0, SEEK_SET) != 0)
		abort();
}

static bool
same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool
same(const Delivery *a, const Delivery *b)
{
	return same_text(a->webhook, b->webhook) && same_text(a->signature, b->signature) &&
		a->body_len == b->body_len && memcmp(a->body, b->body, a->body_len) == 0 &&
		a->received_at == b->received_at;
}

/* What is read of a record that was written, then cut or changed. */
static const char *
read_back(const Delivery *delivery, long cut, long flip, const char *behind)
{
	static const char *const words[] = {"read", "end", "torn", "damaged", "failed"};
	size_t		size = record_size(delivery);
	ReadResult	result;
	Record		record;
	char		byte;
	bool		equal;

	fill((const uint8_t *) "", 0);
	if (!record_write(file, delivery))
		return "not written";
	if (lseek(file, 0, SEEK_CUR) != (off_t) size)
		return "written with another size";
	if (write(file, behind, strlen(behind)) != (ssize_t) strlen(behind))
		return "not written";
	size += strlen(behind);
	if (cut > 0)
	{
		size -= (size_t) cut;
		if (ftruncate(file, (off_t) size) != 0)
			return "not cut";
	}
	if (flip >= 0 && (pread(file, &byte, 1, flip) != 1 || (byte = (char) ~byte, pwrite(file, &byte, 1, flip) != 1)))
		return "not changed";
	result = record_read(file, 0, (off_t) size, &record);
	if (result != RECORD_READ)
		return words[result];
	equal = same(&record.delivery, delivery) && record.end == (off_t) record_size(delivery);
	free(record.parts);
	return equal ? "read" : "read, but not the same";
}

/*
 * fields: name, webhook, signature or "-", body, bytes cut off the end,
 * offset of the byte to change or -1, what stands behind, expected
 */
void
unit_case(const Field *fields, int nfields)
{
	Delivery	delivery;

	if (nfields != 8)
	{
		unit_is("", "eight fields", fields[0].data);
		return;
	}
	delivery.webhook = fields[1].data;
	delivery.signature = strcmp(fields[2].data, "-") == 0 ? NULL : fields[2].data;
	delivery.body = fields[3].data;
	delivery.body_len = fields[3].len;
	delivery.received_at = -815140800000001;
	unit_is(read_back(&delivery, atol(fields[4].data), atol(fields[5].data), fields[6].data),
			fields[7].data, fields[0].data);
}

static void
require(bool condition)
{
	if (!condition)
		abort();
}

static uint32_t
number_at(const uint8_t *p)
{
	return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16 | (uint32_t) p[2] << 8 | p[3];
}

/*
 * Give every record in a row the checksum that it needs, since no fuzzer
 * guesses 32 bits: CRC-32C, bit by bit.
 */
static void
repair(uint8_t *data, size_t size)
{
	size_t		at = 0;

	while (size - at >= RECORD_HEADER_SIZE)
	{
		uint64_t	signature = number_at(data + at + 20);
		uint64_t	length = (uint64_t) number_at(data + at + 16) + number_at(data + at + 24) +
			(signature == UINT32_MAX ? 0 : signature);
		uint32_t	crc = UINT32_MAX;

		if (length > size - at - RECORD_HEADER_SIZE)
			return;
		length += RECORD_HEADER_SIZE;
		for (uint64_t i = 8; i < length; i++)
		{
			crc ^= data[at + i];
			for (int bit = 0; bit < 8; bit++)
				crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
		}
		memcpy(data + at, RECORD_MAGIC, 4);
		for (int i = 0; i < 4; i++)
			data[at + 4 + i] = (uint8_t) (~crc >> (24 - 8 * i));
		at += length;
	}
}

/* Any bytes as a file: each record that is found lies within it. */
static void
check_file(const uint8_t *data, size_t size)
{
	off_t		offset = 0;
	Record		record;
	ReadResult	result;

	fill(data, size);
	while ((result = record_read(file, offset, (off_t) size, &record)) == RECORD_READ)
	{
		require(record.offset == offset && record.end > offset && record.end <= (off_t) size);
		require(record.delivery.body[record.delivery.body_len] == '\0');
		/* a NUL in a name or a signature ends it early */
		require(record_size(&record.delivery) <= (size_t) (record.end - offset));
		offset = record.end;
		free(record.parts);
	}
	require(result != RECORD_FAILED);
	require((result == RECORD_END) == (offset == (off_t) size));
}

/* Any bytes as a delivery: it is read as it was written. */
static void
check_delivery(const uint8_t *data, size_t size)
{
	char	   *name = malloc(size);
	size_t		cut = data[0] % (size - 1);
	Delivery	delivery;

	require(name != NULL);
	memcpy(name, data + 1, size - 1);
	name[size - 1] = '\0';
	delivery.webhook = name[0] == '\0' ? "x" : name;
	delivery.signature = data[1] & 1 ? NULL : name + cut;
	delivery.body = (const char *) data + cut;
	delivery.body_len = size - cut;
	delivery.received_at = (int64_t) (data[1] * UINT64_C(0x0123456789abcdef));
	require(strcmp(read_back(&delivery, 0, -1, ""), "read") == 0);
	free(name);
}

void
unit_check(const uint8_t *data, size_t size)
{
	uint8_t    *copy = malloc(size + 1);

	require(copy != NULL);
	check_file(data, size);
	memcpy(copy, data, size);
	repair(copy, size);
	check_file(copy, size);
	free(copy);
	if (size > 2)
		check_delivery(data, size);
}
