// joulefarm-make-model OUT.gguf [--seed N] [--tiny]: generates a llama-architecture model with
// random weights, so that everything from loading to quantising can be exercised on a real engine
// without downloading anything. What it says makes no sense; it is the same for the same seed, byte
// for byte, on every machine.
#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/gguf/gguf_writer.h"

namespace joulefarm {
namespace {

struct Shape {
  const char* name;
  uint32_t embedding;  // rows are multiples of 256 so that K-quants work
  uint32_t feed_forward;
  uint32_t layers;
  uint32_t heads;
};

constexpr Shape kNormal = {"joulefarm generated 20.8M", 512, 1536, 6, 4};
constexpr Shape kTiny = {"joulefarm generated tiny", 256, 512, 2, 4};
constexpr uint32_t kContextLength = 4096;

// SplitMix64 (Steele, Lea, Flood 2014; public domain). Not a std:: engine with a std::
// distribution, because the latter's results differ between standard libraries.
class SplitMix64 {
 public:
  explicit SplitMix64(uint64_t seed) : state_(seed) {}
  uint64_t Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

 private:
  uint64_t state_;
};

// The half-precision bits of k / 2^13, exact for |k| < 2048.
uint16_t HalfOfEighthousandths(int k) {
  if (k == 0) return 0;
  const uint16_t sign = k < 0 ? 0x8000 : 0;
  uint32_t magnitude = static_cast<uint32_t>(k < 0 ? -k : k);
  int exponent = 10 - 13;  // of the value once the leading one stands at bit 10
  while (magnitude < 1024) {
    magnitude <<= 1;
    --exponent;
  }
  return static_cast<uint16_t>(sign | ((exponent + 15) << 10) | (magnitude & 0x3ff));
}

// A weight: the sum of four 9-bit uniform integers, centred (about normal, standard deviation 296),
// over 2^13: 0.036.
uint16_t RandomWeight(uint64_t bits) {
  int sum = -1022;
  for (int i = 0; i < 4; ++i) sum += static_cast<int>((bits >> (9 * i)) & 0x1ff);
  return HalfOfEighthousandths(sum);
}

struct Vocabulary {
  std::vector<std::string> tokens;
  std::vector<float> scores;
  std::vector<int32_t> types;
};

// 3 control tokens, 256 bytes, some words. SentencePiece joins pairs only, so every prefix of a
// word is a token too, which makes each word reachable when text is split into tokens.
Vocabulary MakeVocabulary() {
  constexpr int32_t kTypeNormal = 1;
  constexpr int32_t kTypeUnknown = 2;
  constexpr int32_t kTypeControl = 3;
  constexpr int32_t kTypeByte = 6;
  constexpr const char* kWords[] = {"the",  "and",   "of",   "to",    "in",    "is",    "for",
                                    "with", "joule", "watt", "token", "phone", "model", "runs",
                                    "fast", "slow",  "heat", "power", "time",  "energy"};
  const std::string space = "\xe2\x96\x81";  // U+2581, how SentencePiece writes a space

  Vocabulary v;
  auto add = [&v](const std::string& token, float score, int32_t type) {
    v.tokens.push_back(token);
    v.scores.push_back(score);
    v.types.push_back(type);
  };
  add("<unk>", 0, kTypeUnknown);
  add("<s>", 0, kTypeControl);
  add("</s>", 0, kTypeControl);
  for (int byte = 0; byte < 256; ++byte) add(absl::StrFormat("<0x%02X>", byte), 0, kTypeByte);
  std::set<std::string> known;
  float rank = 0;
  auto add_word = [&](const std::string& token) {
    if (known.insert(token).second) add(token, -(rank += 1), kTypeNormal);
  };
  add_word(space);
  for (const char* word : kWords) {
    for (size_t length = 1; length <= std::string(word).size(); ++length) {
      add_word(space + std::string(word, length));
    }
  }
  return v;
}

void DescribeModel(GgufWriter& writer, const Shape& shape, const Vocabulary& vocabulary,
                   uint64_t seed) {
  writer.AddString("general.architecture", "llama");
  writer.AddString("general.name", absl::StrCat(shape.name, " seed ", seed));
  writer.AddUint32("general.file_type", 1);  // mostly F16
  writer.AddUint32("llama.context_length", kContextLength);
  writer.AddUint32("llama.embedding_length", shape.embedding);
  writer.AddUint32("llama.block_count", shape.layers);
  writer.AddUint32("llama.feed_forward_length", shape.feed_forward);
  writer.AddUint32("llama.attention.head_count", shape.heads);
  writer.AddUint32("llama.attention.head_count_kv", shape.heads);
  writer.AddFloat("llama.attention.layer_norm_rms_epsilon", 1e-5F);
  writer.AddUint32("llama.rope.dimension_count", shape.embedding / shape.heads);
  writer.AddFloat("llama.rope.freq_base", 10000.0F);
  writer.AddUint32("llama.vocab_size", static_cast<uint32_t>(vocabulary.tokens.size()));
  writer.AddString("tokenizer.ggml.model", "llama");
  writer.AddStrings("tokenizer.ggml.tokens", vocabulary.tokens);
  writer.AddFloats("tokenizer.ggml.scores", vocabulary.scores);
  writer.AddInts("tokenizer.ggml.token_type", vocabulary.types);
  writer.AddUint32("tokenizer.ggml.unknown_token_id", 0);
  writer.AddUint32("tokenizer.ggml.bos_token_id", 1);
  writer.AddUint32("tokenizer.ggml.eos_token_id", 2);
  writer.AddBool("tokenizer.ggml.add_bos_token", true);
  writer.AddBool("tokenizer.ggml.add_eos_token", false);
}

struct PlannedTensor {
  std::string name;
  std::vector<uint64_t> dims;  // one dimension: a norm of ones in F32; two: random F16
};

std::vector<PlannedTensor> PlanTensors(const Shape& shape, uint64_t vocabulary_size) {
  const uint64_t embedding = shape.embedding;
  const uint64_t feed_forward = shape.feed_forward;
  std::vector<PlannedTensor> plan = {{"token_embd.weight", {embedding, vocabulary_size}}};
  for (uint32_t layer = 0; layer < shape.layers; ++layer) {
    auto add = [&](const char* what, std::vector<uint64_t> dims) {
      plan.push_back({absl::StrCat("blk.", layer, ".", what, ".weight"), std::move(dims)});
    };
    add("attn_norm", {embedding});
    add("attn_q", {embedding, embedding});
    add("attn_k", {embedding, embedding});
    add("attn_v", {embedding, embedding});
    add("attn_output", {embedding, embedding});
    add("ffn_norm", {embedding});
    add("ffn_gate", {embedding, feed_forward});
    add("ffn_up", {embedding, feed_forward});
    add("ffn_down", {feed_forward, embedding});
  }
  plan.push_back({"output_norm.weight", {embedding}});
  plan.push_back({"output.weight", {embedding, vocabulary_size}});
  return plan;
}

// Little-endian bytes of one row.
std::string MakeRow(const PlannedTensor& tensor, SplitMix64& random) {
  std::string row;
  for (uint64_t i = 0; i < tensor.dims[0]; ++i) {
    if (tensor.dims.size() == 1) {
      row.append("\x00\x00\x80\x3f", 4);  // 1.0F
    } else {
      const uint16_t half = RandomWeight(random.Next());
      row.push_back(static_cast<char>(half & 0xff));
      row.push_back(static_cast<char>(half >> 8));
    }
  }
  return row;
}

absl::Status WriteModel(std::ostream& out, const Shape& shape, uint64_t seed) {
  const Vocabulary vocabulary = MakeVocabulary();
  const std::vector<PlannedTensor> plan = PlanTensors(shape, vocabulary.tokens.size());
  GgufWriter writer;
  DescribeModel(writer, shape, vocabulary, seed);
  for (const PlannedTensor& tensor : plan) {
    writer.AddTensor(tensor.name, tensor.dims,
                     tensor.dims.size() == 1 ? GgmlType::kF32 : GgmlType::kF16);
  }
  if (absl::Status status = writer.WriteHeader(out); !status.ok()) return status;
  SplitMix64 random(seed);
  for (const PlannedTensor& tensor : plan) {
    const uint64_t rows = tensor.dims.size() == 1 ? 1 : tensor.dims[1];
    for (uint64_t row = 0; row < rows; ++row) {
      const std::string bytes = MakeRow(tensor, random);
      absl::Status status = writer.AppendData(out, bytes.data(), bytes.size());
      if (!status.ok()) return status;
    }
  }
  return writer.Finish();
}

// Writes beside the target and renames, so that a half-written model never has the name of a whole
// one.
absl::Status WriteModelFile(const std::string& path, const Shape& shape, uint64_t seed) {
  const std::string part = path + ".part";
  std::ofstream out(part, std::ios::binary | std::ios::trunc);
  if (!out) return absl::UnavailableError(absl::StrCat("cannot write ", part));
  absl::Status status = WriteModel(out, shape, seed);
  out.close();
  if (status.ok() && !out) status = absl::UnavailableError("writing failed (disk full?)");
  std::error_code error;
  if (status.ok()) {
    std::filesystem::rename(part, path, error);
    if (error) status = absl::UnavailableError(absl::StrCat("cannot rename to ", path));
  }
  if (!status.ok()) std::filesystem::remove(part, error);
  return status;
}

}  // namespace
}  // namespace joulefarm

int main(int argc, char** argv) {
  CLI::App app{"Generates a llama-architecture GGUF model with random weights"};
  std::string path;
  uint64_t seed = 42;
  bool tiny = false;
  app.add_option("OUT", path, "the file to write")->required();
  app.add_option("--seed", seed, "the same seed gives the same bytes")->capture_default_str();
  app.add_flag("--tiny", tiny, "1.5 M parameters (3 MB) instead of 20.8 M (42 MB)");
  CLI11_PARSE(app, argc, argv);
  const absl::Status status =
      joulefarm::WriteModelFile(path, tiny ? joulefarm::kTiny : joulefarm::kNormal, seed);
  if (!status.ok()) {
    std::cerr << "joulefarm-make-model: " << path << ": " << status.message() << "\n";
    return 1;
  }
  return 0;
}
