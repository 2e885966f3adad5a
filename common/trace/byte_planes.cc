#include "common/trace/byte_planes.h"

#include <algorithm>

namespace joulefarm {
namespace {

// How a plane is stored: its first byte.
constexpr char kRaw = 0;       // the bytes
constexpr char kConstant = 1;  // one byte, for all
constexpr char kZstd = 2;      // varint length, zstd frame

void WritePlane(absl::string_view plane, ZSTD_CCtx* context, std::string& out) {
  if (plane.find_first_not_of(plane[0]) == absl::string_view::npos) {
    out.push_back(kConstant);
    out.push_back(plane[0]);
    return;
  }
  // A frame has about 10 bytes of its own: very short planes are not worth a call.
  constexpr std::size_t kShort = 24;
  if (plane.size() > kShort) {
    char frame[ZSTD_COMPRESSBOUND(1 << 16)];
    const std::size_t size =
        ZSTD_compress2(context, frame, sizeof frame, plane.data(), plane.size());
    if (!ZSTD_isError(size) && size + 2 < plane.size()) {
      out.push_back(kZstd);
      WriteVarint(size, out);
      out.append(frame, size);
      return;
    }
  }
  out.push_back(kRaw);
  out.append(plane.data(), plane.size());
}

absl::Status CutOff() { return absl::DataLossError("trace block: a plane is cut off"); }

// The bytes of one plane: `view` points into the data or into scratch.
absl::Status TakePlane(absl::string_view& data, std::size_t size, ZSTD_DCtx* context,
                       std::string& scratch, absl::string_view& view) {
  if (data.empty()) return CutOff();
  const char mode = data[0];
  data.remove_prefix(1);
  switch (mode) {
    case kRaw:
      if (data.size() < size) return CutOff();
      view = data.substr(0, size);
      data.remove_prefix(size);
      return absl::OkStatus();
    case kConstant:
      if (data.empty()) return CutOff();
      scratch.assign(size, data[0]);
      data.remove_prefix(1);
      view = scratch;
      return absl::OkStatus();
    case kZstd: {
      std::uint64_t length = 0;
      if (!ReadVarint(data, length) || length > data.size()) return CutOff();
      scratch.resize(size);
      const std::size_t got =
          ZSTD_decompressDCtx(context, scratch.data(), size, data.data(), length);
      if (ZSTD_isError(got) || got != size) {
        return absl::DataLossError("trace block: a compressed plane is damaged");
      }
      data.remove_prefix(length);
      view = scratch;
      return absl::OkStatus();
    }
    default:
      return absl::DataLossError("trace block: unknown kind of plane");
  }
}

}  // namespace

void WritePlanes(absl::Span<const std::uint64_t> numbers, int width, ZSTD_CCtx* context,
                 std::string& scratch, std::string& out) {
  if (numbers.empty()) return;
  scratch.resize(numbers.size());
  for (int plane = 0; plane < width; ++plane) {
    const int shift = 8 * plane;
    char* to = scratch.data();
    for (const std::uint64_t number : numbers) *to++ = static_cast<char>(number >> shift);
    WritePlane(scratch, context, out);
  }
}

absl::Status ReadPlanes(absl::string_view& data, int width, ZSTD_DCtx* context,
                        std::string& scratch, absl::Span<std::uint64_t> numbers) {
  if (numbers.empty()) return absl::OkStatus();
  for (int plane = 0; plane < width; ++plane) {
    absl::string_view bytes;
    if (absl::Status taken = TakePlane(data, numbers.size(), context, scratch, bytes); !taken.ok())
      return taken;
    const int shift = 8 * plane;
    const char* from = bytes.data();
    for (std::uint64_t& number : numbers) {
      number |= static_cast<std::uint64_t>(static_cast<unsigned char>(*from++)) << shift;
    }
  }
  return absl::OkStatus();
}

void WriteVarint(std::uint64_t number, std::string& out) {
  while (number >= 0x80) {
    out.push_back(static_cast<char>(number | 0x80));
    number >>= 7;
  }
  out.push_back(static_cast<char>(number));
}

bool ReadVarint(absl::string_view& data, std::uint64_t& number) {
  number = 0;
  for (int shift = 0; shift < 64 && !data.empty(); shift += 7) {
    const std::uint64_t byte = static_cast<unsigned char>(data[0]);
    data.remove_prefix(1);
    if (shift == 63 && byte > 1) return false;
    number |= (byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

}  // namespace joulefarm
