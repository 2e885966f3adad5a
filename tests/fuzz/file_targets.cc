#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "common/gguf/gguf_reader.h"
#include "common/trace/trace_codec.h"
#include "tests/common/gguf/small_model.h"
#include "tests/fuzz/target.h"

namespace joulefarm::fuzz {
namespace {

bool Same(const GgufInfo& a, const GgufInfo& b) {
  return a.version == b.version && a.architecture == b.architecture && a.name == b.name &&
         a.file_type == b.file_type && a.quantisation == b.quantisation &&
         a.parameter_count == b.parameter_count && a.tensor_count == b.tensor_count &&
         a.context_length == b.context_length && a.block_count == b.block_count &&
         a.header_bytes == b.header_bytes;
}

void CheckRefusal(const absl::Status& status) {
  Must(absl::IsInvalidArgument(status) || absl::IsOutOfRange(status),
       "a refusal says what is wrong:", status.ToString());
  const absl::string_view message = status.message();
  Must(!message.empty() && std::none_of(message.begin(), message.end(),
                                        [](unsigned char c) { return c < ' ' || c == 0x7F; }),
       "a refusal can be shown:", message);
}

void RunGguf(InputView input) {
  const absl::string_view file = TextIn(input);
  const auto whole = ReadGguf(file, GgufExtent::kWholeFile);
  const auto prefix = ReadGguf(file, GgufExtent::kPrefix);
  if (!prefix.ok()) {
    CheckRefusal(prefix.status());
    Must(!whole.ok(), "what no file begins with is no whole file");
    return;
  }
  Must(!prefix->architecture.empty(), "a model has an architecture");
  // A name of one byte, a dimension, a type and an offset: each tensor takes so much at least.
  constexpr std::size_t kLeastTensor = 8 + 4 + 8 + 4 + 8;
  Must(prefix->tensor_count <= file.size() / kLeastTensor,
       "no tensor is without bytes:", prefix->tensor_count);
  if (!whole.ok()) return CheckRefusal(whole.status());
  Must(Same(*whole, *prefix), "the data changes nothing of what is said before it");
  // Padding up to the data of no tensor may be missing.
  const absl::string_view header = file.substr(0, whole->header_bytes);
  const auto again = ReadGguf(header, GgufExtent::kPrefix);
  Must(again.ok() && Same(*again, *whole), "the header alone says the same");
}

void CheckRoundTrip(const TraceSamples& samples) {
  TraceEncoder encoder;
  const auto data = encoder.Encode(samples.t_ns, samples.raw);
  Must(data.ok(), "what was decoded can be encoded:", data.status().ToString());
  TraceDecoder decoder;
  TraceSamples again;
  const absl::Status status = decoder.Decode(*data, again);
  Must(status.ok() && again.t_ns == samples.t_ns && again.raw == samples.raw,
       "samples are kept without loss:", status.ToString());
}

// A block as it is stored.
void RunTrace(InputView input) {
  TraceDecoder decoder;
  TraceSamples samples;
  const absl::Status status = decoder.Decode(TextIn(input), samples);
  if (!status.ok()) {
    Must(absl::IsDataLoss(status) && !status.message().empty(),
         "a refusal says what is wrong:", status.ToString());
    Must(samples.t_ns.empty() && samples.raw.empty(), "of what is refused nothing is taken");
    return;
  }
  Must(!samples.t_ns.empty() && samples.t_ns.size() == samples.raw.size() &&
           samples.t_ns.size() <= kMaxTraceSamples,
       "samples have a stamp and a value each");
  CheckRoundTrip(samples);
}

// Two columns of any numbers.
void RunTraceSamples(InputView input) {
  const std::size_t n = std::min(input.size() / 16, kMaxTraceSamples);
  if (n == 0) return;
  TraceSamples samples;
  samples.t_ns.resize(n);
  samples.raw.resize(n);
  std::memcpy(samples.t_ns.data(), input.data(), n * 8);
  std::memcpy(samples.raw.data(), input.data() + n * 8, n * 8);
  CheckRoundTrip(samples);
}

TraceSamples Samples(std::size_t n, std::int64_t noise) {
  TraceSamples samples;
  for (std::size_t i = 0; i < n; ++i) {
    const auto at = static_cast<std::int64_t>(i);
    samples.t_ns.push_back(1'000'000'000 + at * 200'000 + at * at % 7 * noise);
    samples.raw.push_back((at / 50 % 2) * 1'700 + at * 7919 % 31 * noise);
  }
  return samples;
}

std::vector<Input> TraceBlocks() {
  // trace_codec_test.cc has what the bytes mean.
  std::vector<Input> blocks = {{1, 3, 1, 0xD0, 0x0F, 0x14, 0x10, 0x0E, 0, 1, 0, 4}};
  TraceEncoder encoder;
  for (const TraceSamples& samples :
       {Samples(1, 0), Samples(300, 1), Samples(300, 0), Samples(40, 1'000'000'007)}) {
    const auto data = encoder.Encode(samples.t_ns, samples.raw);
    if (data.ok()) blocks.push_back(InputOf(*data));
  }
  return blocks;
}

Input Columns(const TraceSamples& samples) {
  const std::size_t size = samples.t_ns.size() * 8;
  Input input(2 * size);
  std::memcpy(input.data(), samples.t_ns.data(), size);
  std::memcpy(input.data() + size, samples.raw.data(), size);
  return input;
}

}  // namespace

std::vector<Target> FileTargets() {
  return {
      {.name = "gguf",
       .run = RunGguf,
       .seeds = {InputOf(SmallModel())},
       .words = {"general.architecture", "general.alignment", "general.file_type",
                 "llama.context_length", std::string("\4\0\0\0", 4), std::string("\x8\0\0\0", 4),
                 std::string("\x9\0\0\0", 4), std::string("\xff\xff\xff\xff\xff\xff\xff\xff", 8)}},
      {.name = "trace", .run = RunTrace, .seeds = TraceBlocks()},
      {.name = "trace-samples",
       .run = RunTraceSamples,
       .seeds = {Columns(Samples(1, 1)), Columns(Samples(40, 3)), Columns(Samples(60, 1'000'003))}},
  };
}

}  // namespace joulefarm::fuzz
