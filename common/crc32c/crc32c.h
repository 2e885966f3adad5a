// CRC-32C (Castagnoli), the checksum of every frame: polynomial 0x1EDC6F41 reflected (0x82F63B78),
// initial value and final XOR 0xFFFFFFFF, as RFC 3720 (iSCSI) appendix B.4 defines it.
//
// Threads: pure function. Ownership: none.
#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"

namespace joulefarm {

// The checksum of `data`; 0 for no data. Crc32c("123456789") is 0xE3069283.
std::uint32_t Crc32c(absl::string_view data);

// The same without the instruction that many processors have for it.
std::uint32_t Crc32cPortable(absl::string_view data);

}  // namespace joulefarm
