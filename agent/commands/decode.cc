#include "agent/commands/decode.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "agent/power/meter/registry.h"
#include "common/config/suggest.h"

namespace joulefarm::agent {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kExitUsage = 2;

std::vector<std::string> Names() {
  const std::vector<MeterModel>& models = MeterModels();
  std::vector<std::string> names;
  std::transform(models.begin(), models.end(), std::back_inserter(names),
                 [](const MeterModel& model) { return model.name; });
  return names;
}

int Digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = absl::ascii_tolower(static_cast<unsigned char>(c));
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

absl::StatusOr<std::vector<std::uint8_t>> BytesOf(const std::string& line) {
  std::vector<std::uint8_t> bytes;
  std::optional<int> high;
  for (std::size_t i = 0; i < line.size() && line[i] != '#'; ++i) {
    if (absl::ascii_isspace(static_cast<unsigned char>(line[i]))) continue;
    const int digit = Digit(line[i]);
    if (digit < 0)
      return absl::InvalidArgumentError(absl::StrCat(
          "column ", i + 1, ": ", Quoted(line.substr(i, 1)), " is no hexadecimal digit"));
    if (high) {
      bytes.push_back(static_cast<std::uint8_t>(*high << 4 | digit));
      high.reset();
    } else {
      high = digit;
    }
  }
  if (high) return absl::InvalidArgumentError("half a byte at the end");
  return bytes;
}

// What a line of the input says: a frame, nothing, or why it is no hex.
using Input = absl::StatusOr<std::vector<std::uint8_t>>;

// xxd and hexdump cut a file into pieces of one size, usually 16 or 30 bytes, wherever its lines
// end.
bool IsDump(const std::vector<Input>& inputs) {
  constexpr std::size_t kLongestPiece = 32;
  std::vector<const std::vector<std::uint8_t>*> pieces;
  for (const Input& input : inputs) {
    if (input.ok() && !input->empty()) pieces.push_back(&*input);
  }
  if (pieces.size() < 2 || pieces[0]->size() > kLongestPiece) return false;
  const std::size_t size = pieces[0]->size();
  bool line_ends = false;
  bool all_end_lines = true;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const bool last = i + 1 == pieces.size();
    if (last ? pieces[i]->size() > size : pieces[i]->size() != size) return false;
    if (std::find(pieces[i]->begin(), pieces[i]->end(), '\n') != pieces[i]->end()) line_ends = true;
    if (pieces[i]->back() != '\n') all_end_lines = false;
  }
  if (line_ends) return !all_end_lines;
  // Lines without their ends may be of one size, too.
  return (size == 16 || size == 30) && pieces.back()->size() < size;
}

class Decoding {
 public:
  Decoding(const MeterModel& model, std::ostream& out)
      : model_(model), decoder_(model.make_decoder()), out_(out) {}

  void Take(std::int64_t line_number, const Input& input) {
    if (!input.ok()) {
      Refuse(absl::StrCat("line ", line_number, ", ", input.status().message()));
    } else if (!input->empty()) {
      Frame(*input);
    }
  }
  void Finish() {
    // What is left was refused line by line before; more refusals than these there cannot be.
    constexpr int kMostRefusals = 100'000;
    for (int calls = 0; calls < kMostRefusals && !Give(decoder_->Finish()); ++calls) {
    }
  }

 private:
  void Frame(const std::vector<std::uint8_t>& bytes) {
    // A decoder of a stream keeps what follows a refusal for the next call; each takes a byte at
    // least.
    const bool stream = model_.text || model_.link == LinkKind::kSerial;
    Bytes next = bytes;
    for (std::size_t calls = 0; calls <= bytes.size(); ++calls) {
      if (Give(decoder_->Decode(next)) || !stream) return;
      next = {};
    }
  }
  void Refuse(const std::string& why) { Print(Json{{"error", why}}); }
  // False: refused.
  bool Give(const absl::StatusOr<std::vector<MeterSample>>& samples) {
    if (const std::int64_t lost = decoder_->TakeLost(); lost > 0) Print(Json{{"lost", lost}});
    if (!samples.ok()) {
      Refuse(std::string(samples.status().message()));
      return false;
    }
    for (const MeterSample& sample : *samples) Show(sample);
    return true;
  }
  void Show(const MeterSample& sample) {
    Json object = Json::object();
    if (sample.voltage_v) object["voltage_v"] = *sample.voltage_v;
    if (sample.current_a) object["current_a"] = *sample.current_a;
    if (sample.power_w) object["power_w"] = *sample.power_w;
    if (sample.t_ns) object["t_ns"] = *sample.t_ns;
    for (const auto& [name, value] : sample.more) object[name] = value;
    Print(object);
  }
  void Print(const Json& object) {
    out_ << object.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n';
  }

  const MeterModel& model_;
  const std::unique_ptr<MeterDecoder> decoder_;
  std::ostream& out_;
};

void DecodeText(std::istream& in, Decoding& decoding) {
  std::vector<Input> inputs;
  for (std::string line; std::getline(in, line);) inputs.push_back(BytesOf(line));
  const bool dump = IsDump(inputs);
  std::int64_t number = 0;
  for (Input& input : inputs) {
    if (!dump && input.ok() && !input->empty() && input->back() != '\n') input->push_back('\n');
    decoding.Take(++number, input);
  }
}

}  // namespace

std::string DecodableModels() { return absl::StrJoin(Names(), ", "); }

int DecodeFrames(const std::string& model, std::istream& in, std::ostream& out, std::ostream& err) {
  const MeterModel* known = FindMeterModel(model);
  if (known == nullptr) {
    const std::optional<std::string> nearest = NearestName(model, Names());
    err << "there is no meter model " << Quoted(model);
    if (nearest) err << "; did you mean " << Quoted(*nearest) << "?";
    err << "\nmodels: " << DecodableModels() << '\n';
    return kExitUsage;
  }
  Decoding decoding(*known, out);
  if (known->text) {
    DecodeText(in, decoding);
  } else {
    std::string line;
    for (std::int64_t number = 1; std::getline(in, line); ++number) {
      decoding.Take(number, BytesOf(line));
      out.flush();
    }
  }
  decoding.Finish();
  out.flush();
  return 0;
}

}  // namespace joulefarm::agent
