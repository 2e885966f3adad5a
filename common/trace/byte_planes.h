// Part of the trace codec: numbers as planes of bytes (all lowest bytes, then all second ones, …),
// each plane stored in the shortest of three ways. Noise stays in the low plane, where a prediction
// of it would only cost.
//
// Threads: pure functions but for the zstd context, which is used by one thread at a time.
// Ownership: the caller's.
#pragma once

#include <zstd.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace joulefarm {

// Appends `width` (0 to 8) planes of the numbers' lowest bytes. `scratch` keeps its memory between
// calls.
void WritePlanes(absl::Span<const std::uint64_t> numbers, int width, ZSTD_CCtx* context,
                 std::string& scratch, std::string& out);

// Takes `width` planes from the front of `data`, each of numbers.size() bytes, into the numbers,
// which must be 0. DataLoss: cut off or not what WritePlanes writes.
absl::Status ReadPlanes(absl::string_view& data, int width, ZSTD_DCtx* context,
                        std::string& scratch, absl::Span<std::uint64_t> numbers);

// Unsigned LEB128 of at most 10 bytes.
void WriteVarint(std::uint64_t number, std::string& out);
// False: cut off or longer than a 64-bit number.
bool ReadVarint(absl::string_view& data, std::uint64_t& number);

}  // namespace joulefarm
