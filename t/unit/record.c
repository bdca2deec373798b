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

#include "record.h"
#include "unit.h"

static const unsigned char tag[RECORD_TAG_SIZE] = {1, 2, 3, 4, 5, 6, 7, 8};
static const unsigned char other_tag[RECORD_TAG_SIZE] = {8, 7, 6, 5, 4, 3, 2, 1};

static int	file = -1;
static uint64_t bytes_read;

extern ssize_t __real_pread(int fd, void *dst, size_t len, off_t offset);
extern ssize_t __wrap_pread(int fd, void *dst, size_t len, off_t offset);

/* The linker puts this in the place of pread(): what a search costs. */
ssize_t
__wrap_pread(int fd, void *dst, size_t len, off_t offset)
{
	bytes_read += len;
	return __real_pread(fd, dst, len, offset);
}

/* A file in memory with this content. */
static void
fill(const uint8_t *data, size_t size)
{
	if (file < 0)
	{
		file = memfd_create("record", MFD_CLOEXEC);
		record_init(tag);
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

static uint32_t
number_at(const uint8_t *p)
{
	return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16 | (uint32_t) p[2] << 8 | p[3];
}

static void
number_put(uint8_t *p, uint32_t number)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t) (number >> (24 - 8 * i));
}

/* CRC-32C, bit by bit. */
static uint32_t
checksum(const uint8_t *data, size_t size)
{
	uint32_t	crc = UINT32_MAX;

	for (size_t i = 0; i < size; i++)
	{
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

/* A record of the first form, FWR1; its size. */
static size_t
write_first_form(uint8_t *dst, const Delivery *delivery)
{
	size_t		name_len = strlen(delivery->webhook);

	memcpy(dst, "FWR1", 4);
	memset(dst + 8, 0, 8);
	number_put(dst + 16, (uint32_t) name_len);
	number_put(dst + 20, UINT32_MAX);
	number_put(dst + 24, (uint32_t) delivery->body_len);
	memcpy(dst + 28, delivery->webhook, name_len);
	memcpy(dst + 28 + name_len, delivery->body, delivery->body_len);
	number_put(dst + 4, checksum(dst + 8, 20 + name_len + delivery->body_len));
	return 28 + name_len + delivery->body_len;
}

/* A record of either form as bytes. */
static size_t
write_record(uint8_t *dst, const char *name, const void *body, size_t body_len,
			 int form, const unsigned char *with_tag)
{
	Delivery	delivery = {.webhook = name,.body = body,.body_len = body_len};
	size_t		size = record_size(&delivery);

	if (form == 1)
		return write_first_form(dst, &delivery);
	fill((const uint8_t *) "", 0);
	record_init(with_tag);
	if (!record_write(file, &delivery) || pread(file, dst, size, 0) != (ssize_t) size)
		abort();
	record_init(tag);
	return size;
}

#define HOSTILE_SIZE (1024 * 1024)

/* A body of a sender who means harm. */
static size_t
hostile_body(const char *kind, uint8_t *body)
{
	size_t		size = 0;

	if (strcmp(kind, "a record of the first form") == 0)
		return write_record(body, "forged", "{}", 2, 1, NULL);
	if (strcmp(kind, "a record without the tag") == 0)
		return write_record(body, "forged", "{}", 2, 2, other_tag);
	if (strcmp(kind, "headers of the first form") == 0)
		for (; size < HOSTILE_SIZE; size += 28)
		{
			memset(body + size, 0, 28);
			memcpy(body + size, "FWR1", 4);
			body[size + 19] = 1;
			number_put(body + size + 24, (uint32_t) (HOSTILE_SIZE - size) / 2);
		}
	else if (strcmp(kind, "headers without the tag") == 0)
		for (; size < HOSTILE_SIZE; size += RECORD_HEADER_SIZE)
		{
			uint8_t    *header = body + size;

			memset(header, 0, RECORD_HEADER_SIZE);
			memcpy(header, RECORD_MAGIC, 4);
			memcpy(header + 8, other_tag, RECORD_TAG_SIZE);
			header[27] = 1;
			number_put(header + 32, (uint32_t) (HOSTILE_SIZE - size) / 2);
			number_put(header + 4, checksum(header + 8, RECORD_HEADER_SIZE - 8));
		}
	else
		for (; size < HOSTILE_SIZE; size += 4)
			memcpy(body + size, RECORD_MAGIC, 4);
	return size;
}

/*
 * Three records, a, b and c, of which b has a hostile body: which are found,
 * after the byte at `flip` of b was changed and that at `flip_a` of a.
 */
static const char *
find_among(const char *kind, int form, long flip, long flip_a)
{
	static char found[64];
	static uint8_t body[HOSTILE_SIZE + 100];
	static uint8_t data[HOSTILE_SIZE + 1000];
	unsigned char known[RECORD_TAG_SIZE];
	size_t		body_len = hostile_body(kind, body);
	size_t		size = write_record(data, "a", "{}", 2, form, tag);
	size_t		at = size;
	off_t		offset = 0;
	Record		record;
	ReadResult	result,
				first;

	size += write_record(data + size, "b", body, body_len, form, tag);
	size += write_record(data + size, "c", "{}", 2, form, tag);
	if (flip >= 0)
		data[at + (size_t) flip] ^= 0xff;
	if (flip_a >= 0)
		data[flip_a] ^= 0xff;
	fill(data, size);

	found[0] = '\0';
	bytes_read = 0;
	memcpy(known, tag, RECORD_TAG_SIZE);
	while ((result = record_find(file, offset, (off_t) size, known, &record, &first)) == RECORD_READ)
	{
		if (strlen(found) + strlen(record.delivery.webhook) + 2 < sizeof(found))
		{
			strcat(found, record.delivery.webhook);
			strcat(found, " ");
		}
		offset = record.end;
		free(record.parts);
	}

	/*
	 * a damaged body is read once, and searched once where its header is
	 * damaged
	 */
	strcat(found, result != RECORD_END ? "not the end" :
		   bytes_read <= 2 * size + 1000 ? "end" : "read too much");
	return found;
}

/*
 * fields: name, kind of body, form of the records, byte of b to change or -1,
 * byte of a to change or -1, what is found
 *
 * or: name, webhook, signature or "-", body, bytes cut off the end,
 * offset of the byte to change or -1, what stands behind, expected
 */
void
unit_case(const Field *fields, int nfields)
{
	Delivery	delivery;

	if (nfields == 6)
	{
		unit_is(find_among(fields[1].data, atoi(fields[2].data), atol(fields[3].data),
						   atol(fields[4].data)), fields[5].data, fields[0].data);
		return;
	}
	if (nfields != 8)
	{
		unit_is("", "six or eight fields", fields[0].data);
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

/*
 * Give every record in a row the checksums that it needs, since no fuzzer
 * guesses 32 bits; where `first_form`, as FWR1.
 */
static void
repair(uint8_t *data, size_t size, bool first_form)
{
	size_t		header_size = first_form ? 28 : RECORD_HEADER_SIZE;
	size_t		at = 0;

	while (size - at >= header_size)
	{
		uint8_t    *record = data + at;
		uint8_t    *lengths = record + (first_form ? 16 : 24);
		uint64_t	signature = number_at(lengths + 4);
		uint64_t	length = (uint64_t) number_at(lengths) + number_at(lengths + 8) +
			(signature == UINT32_MAX ? 0 : signature);

		if (length > size - at - header_size)
			return;
		memcpy(record, first_form ? "FWR1" : RECORD_MAGIC, 4);
		if (first_form)
			number_put(record + 4, checksum(record + 8, header_size - 8 + length));
		else
		{
			number_put(record + 36, checksum(record + header_size, length));
			number_put(record + 4, checksum(record + 8, header_size - 8));
		}
		at += header_size + length;
	}
}

/*
 * Any bytes as a file: each record that is found, with damage between them or
 * not, lies within it, and no byte is read again and again.
 */
static void
check_search(const uint8_t *data, size_t size)
{
	unsigned char known[RECORD_TAG_SIZE];
	off_t		offset = 0;
	Record		record;
	ReadResult	result,
				first;

	memcpy(known, size < 16 ? tag : data + 8, RECORD_TAG_SIZE);
	bytes_read = 0;
	while ((result = record_find(file, offset, (off_t) size, known, &record, &first)) == RECORD_READ)
	{
		require(record.offset >= offset && record.end > record.offset && record.end <= (off_t) size);
		require((first == RECORD_READ) == (record.offset == offset));
		offset = record.end;
		free(record.parts);
	}
	require(result == RECORD_END);

	/*
	 * a search for a header reads up to 256 bytes where a small record is
	 * next
	 */
	require(bytes_read <= 8 * size + 500);
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
		require(record_size(&record.delivery) - RECORD_HEADER_SIZE + (record.has_tag ? RECORD_HEADER_SIZE : 28) <=
				(size_t) (record.end - offset));
		offset = record.end;
		free(record.parts);
	}
	require(result != RECORD_FAILED);
	require((result == RECORD_END) == (offset == (off_t) size));
	check_search(data, size);
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
	for (int first_form = 0; first_form < 2; first_form++)
	{
		memcpy(copy, data, size);
		repair(copy, size, first_form);
		check_file(copy, size);
	}
	free(copy);
	if (size > 2)
		check_delivery(data, size);
}
