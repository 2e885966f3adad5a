#include "common/trace/trace_codec.h"

#include <zstd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/trace/byte_planes.h"

namespace joulefarm {
namespace {

constexpr unsigned char kVersion = 1;
constexpr int kMaxOrder = 2;
// The centre of the residuals is the median of at most this many of them.
constexpr std::size_t kCentreSamples = 15;

// All arithmetic is modulo 2^64, so that every int64 comes back, however far apart two neighbours
// are.
using Words = std::vector<std::uint64_t>;

std::uint64_t ZigZag(std::uint64_t number) { return (number << 1) ^ (0 - (number >> 63)); }
std::uint64_t UnZigZag(std::uint64_t number) { return (number >> 1) ^ (0 - (number & 1)); }

// Every number less its predecessor; the first one falls away.
void Difference(const Words& from, Words& to) {
  to.resize(from.size() - 1);
  for (std::size_t i = 0; i < to.size(); ++i) to[i] = from[i + 1] - from[i];
}

std::uint64_t Centre(const Words& residuals) {
  std::array<std::int64_t, kCentreSamples> some;
  const std::size_t count = std::min(residuals.size(), some.size());
  if (count == 0) return 0;
  for (std::size_t i = 0; i < count; ++i) {
    some[i] = static_cast<std::int64_t>(
        residuals[i * (residuals.size() - 1) / std::max<std::size_t>(1, count - 1)]);
  }
  const auto middle = some.begin() + static_cast<std::ptrdiff_t>(count / 2);
  std::nth_element(some.begin(), middle, some.begin() + static_cast<std::ptrdiff_t>(count));
  return static_cast<std::uint64_t>(*middle);
}

// Replaces the residuals by their zig-zag distance from the centre; returns the bits they need,
// summed: about what they will cost.
std::uint64_t Centred(Words& residuals, std::uint64_t centre) {
  std::uint64_t bits = 0;
  for (std::uint64_t& residual : residuals) {
    residual = ZigZag(residual - centre);
    bits += static_cast<std::uint64_t>(std::bit_width(residual));
  }
  return bits;
}

absl::Status Damaged(absl::string_view what) {
  return absl::DataLossError(absl::StrCat("trace block: ", what));
}

}  // namespace

struct TraceEncoder::State {
  struct Candidate {
    Words residuals;
    std::uint64_t centre = 0;
  };

  State() : context(ZSTD_createCCtx(), ZSTD_freeCCtx) {
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, 1);
    // In noise only long matches are worth their cost.
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_minMatch, 7);
  }

  void WriteColumn(absl::Span<const std::int64_t> column, std::string& out);

  std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context;
  std::array<Words, kMaxOrder + 1> differences;
  Words residuals;
  Words best;
  std::string scratch;
};

void TraceEncoder::State::WriteColumn(absl::Span<const std::int64_t> column, std::string& out) {
  differences[0].assign(column.begin(), column.end());
  const int highest = std::min(kMaxOrder, static_cast<int>(column.size()) - 1);
  int order = 0;
  std::uint64_t centre = 0;
  std::uint64_t least = ~std::uint64_t{0};
  for (int candidate = 0; candidate <= highest; ++candidate) {
    const auto index = static_cast<std::size_t>(candidate);
    if (candidate > 0) Difference(differences[index - 1], differences[index]);
    residuals = differences[index];
    const std::uint64_t middle = Centre(residuals);
    const std::uint64_t bits = Centred(residuals, middle);
    if (bits >= least) continue;
    least = bits;
    order = candidate;
    centre = middle;
    best.swap(residuals);
  }
  std::uint64_t all = 0;
  for (const std::uint64_t residual : best) all |= residual;
  const int width = (static_cast<int>(std::bit_width(all)) + 7) / 8;
  out.push_back(static_cast<char>(order | width << 4));
  for (int i = 0; i < order; ++i)
    WriteVarint(ZigZag(differences[static_cast<std::size_t>(i)][0]), out);
  WriteVarint(ZigZag(centre), out);
  WritePlanes(best, width, context.get(), scratch, out);
}

TraceEncoder::TraceEncoder() : state_(std::make_unique<State>()) {}
TraceEncoder::~TraceEncoder() = default;

absl::StatusOr<std::string> TraceEncoder::Encode(absl::Span<const std::int64_t> t_ns,
                                                 absl::Span<const std::int64_t> raw) {
  if (t_ns.size() != raw.size() || t_ns.empty() || t_ns.size() > kMaxTraceSamples) {
    return absl::InvalidArgumentError(absl::StrCat("a trace block holds 1 to ", kMaxTraceSamples,
                                                   " samples, not ", t_ns.size(), " stamps and ",
                                                   raw.size(), " values"));
  }
  std::string out(1, static_cast<char>(kVersion));
  WriteVarint(t_ns.size(), out);
  state_->WriteColumn(t_ns, out);
  state_->WriteColumn(raw, out);
  return out;
}

struct TraceDecoder::State {
  State() : context(ZSTD_createDCtx(), ZSTD_freeDCtx) {}

  absl::Status ReadColumn(absl::string_view& data, std::size_t n,
                          std::vector<std::int64_t>& column);

  std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context;
  Words words;
  std::string scratch;
};

absl::Status TraceDecoder::State::ReadColumn(absl::string_view& data, std::size_t n,
                                             std::vector<std::int64_t>& column) {
  if (data.empty()) return Damaged("a column is cut off");
  const auto head = static_cast<unsigned char>(data[0]);
  data.remove_prefix(1);
  const int order = head & 15;
  const int width = head >> 4;
  if (order > kMaxOrder || width > 8 || static_cast<std::size_t>(order) >= n)
    return Damaged("impossible column");
  std::array<std::uint64_t, kMaxOrder + 1> start{};  // first of each difference, then the centre
  for (int i = 0; i <= order; ++i) {
    std::uint64_t& number = start[static_cast<std::size_t>(i)];
    if (!ReadVarint(data, number)) return Damaged("a column is cut off");
    number = UnZigZag(number);
  }
  words.assign(n - static_cast<std::size_t>(order), 0);
  absl::Status read = ReadPlanes(data, width, context.get(), scratch, absl::MakeSpan(words));
  if (!read.ok()) return read;
  const std::uint64_t centre = start[static_cast<std::size_t>(order)];
  // Many chunks are appended to one column: it grows by doubling, not by a chunk at a time.
  const std::size_t before = column.size();
  if (column.capacity() < before + n) column.reserve(std::max(2 * column.capacity(), before + n));
  column.resize(before + n);
  std::int64_t* to = column.data() + before;
  std::uint64_t value = start[0];
  std::uint64_t step = start[1];
  switch (order) {
    case 0:
      for (const std::uint64_t word : words)
        *to++ = static_cast<std::int64_t>(UnZigZag(word) + centre);
      break;
    case 1:
      *to++ = static_cast<std::int64_t>(value);
      for (const std::uint64_t word : words)
        *to++ = static_cast<std::int64_t>(value += UnZigZag(word) + centre);
      break;
    default:
      *to++ = static_cast<std::int64_t>(value);
      *to++ = static_cast<std::int64_t>(value += step);
      for (const std::uint64_t word : words)
        *to++ = static_cast<std::int64_t>(value += step += UnZigZag(word) + centre);
  }
  return absl::OkStatus();
}

TraceDecoder::TraceDecoder() : state_(std::make_unique<State>()) {}
TraceDecoder::~TraceDecoder() = default;

absl::Status TraceDecoder::Decode(absl::string_view data, TraceSamples& samples) {
  if (data.empty()) return Damaged("empty");
  if (static_cast<unsigned char>(data[0]) != kVersion) {
    return Damaged(absl::StrCat("version ", static_cast<int>(static_cast<unsigned char>(data[0])),
                                " is not known to this program"));
  }
  data.remove_prefix(1);
  std::uint64_t n = 0;
  if (!ReadVarint(data, n) || n == 0 || n > kMaxTraceSamples)
    return Damaged("impossible number of samples");
  const std::size_t before = samples.t_ns.size();
  absl::Status read = state_->ReadColumn(data, n, samples.t_ns);
  if (read.ok()) read = state_->ReadColumn(data, n, samples.raw);
  if (read.ok() && !data.empty()) read = Damaged("bytes after its end");
  if (!read.ok()) {
    samples.t_ns.resize(before);
    samples.raw.resize(before);
  }
  return read;
}

}  // namespace joulefarm
