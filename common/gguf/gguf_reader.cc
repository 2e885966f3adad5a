#include "common/gguf/gguf_reader.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <istream>
#include <limits>
#include <map>
#include <set>
#include <streambuf>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/gguf/gguf_cursor.h"
#include "common/gguf/gguf_format.h"

namespace joulefarm {
namespace {

// Far above any real model, low enough that a hostile file costs neither memory nor minutes.
constexpr uint64_t kMaxMetadata = 1 << 16;
constexpr uint64_t kMaxTensors = 1 << 20;
constexpr uint64_t kMaxKeyBytes = 1024;
constexpr uint64_t kMaxTensorNameBytes = 256;
constexpr uint64_t kMaxKeptStringBytes = 4096;
constexpr uint32_t kMaxDims = 4;
constexpr uint32_t kMaxAlignment = 1 << 20;
constexpr int kMaxArrayDepth = 4;

// a * b, absent when it does not fit.
std::optional<uint64_t> Product(uint64_t a, uint64_t b) {
  if (b != 0 && a > std::numeric_limits<uint64_t>::max() / b) return std::nullopt;
  return a * b;
}

std::optional<uint64_t> Sum(uint64_t a, uint64_t b) {
  if (a > std::numeric_limits<uint64_t>::max() - b) return std::nullopt;
  return a + b;
}

// Names out of the file go into errors in printable form and cut to a length a person reads.
std::string Printable(absl::string_view text) {
  constexpr size_t kShown = 64;
  std::string shown = absl::CHexEscape(text.substr(0, kShown));
  if (text.size() > kShown) shown += "…";
  return absl::StrCat("'", shown, "'");
}

class MemoryBuffer : public std::streambuf {
 public:
  explicit MemoryBuffer(absl::string_view bytes) {
    // Only ever read through; streambuf has no const interface.
    char* begin = const_cast<char*>(bytes.data());
    setg(begin, begin, begin + bytes.size());
  }
};

class Parser {
 public:
  Parser(std::istream& in, uint64_t size, GgufExtent extent)
      : cursor_(in, size), size_(size), extent_(extent) {}

  absl::StatusOr<GgufInfo> Parse() {
    absl::StatusOr<uint64_t> metadata_count = ParseStart();
    if (!metadata_count.ok()) return metadata_count.status();
    for (uint64_t i = 0; i < *metadata_count; ++i) {
      if (absl::Status status = ParseMetadata(); !status.ok()) return status;
    }
    if (absl::Status status = TakeMetadata(); !status.ok()) return status;
    for (uint64_t i = 0; i < info_.tensor_count; ++i) {
      if (absl::Status status = ParseTensor(); !status.ok()) return status;
    }
    if (absl::Status status = CheckData(); !status.ok()) return status;
    NameQuantisation();
    return std::move(info_);
  }

 private:
  // The fixed part; returns the number of metadata entries.
  absl::StatusOr<uint64_t> ParseStart() {
    char magic[sizeof(kGgufMagic)];
    if (absl::Status status = cursor_.Read(magic, sizeof(magic), "the magic"); !status.ok()) {
      return status;
    }
    if (std::memcmp(magic, kGgufMagic, sizeof(magic)) != 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("not a GGUF file: it begins with ",
                       Printable(absl::string_view(magic, sizeof(magic))), ", not 'GGUF'"));
    }
    absl::StatusOr<uint32_t> version = cursor_.Integer<uint32_t>("the version");
    if (!version.ok()) return version.status();
    if ((*version & 0xffff) == 0 && *version != 0) {
      return absl::InvalidArgumentError("GGUF: big-endian files are not supported");
    }
    if (*version < kGgufVersionMin || *version > kGgufVersionMax) {
      return absl::InvalidArgumentError(absl::StrCat("GGUF: version ", *version,
                                                     " is not supported (", kGgufVersionMin,
                                                     " and ", kGgufVersionMax, " are)"));
    }
    info_.version = *version;
    absl::StatusOr<uint64_t> tensors = Count(kMaxTensors, "tensors");
    if (!tensors.ok()) return tensors.status();
    info_.tensor_count = *tensors;
    return Count(kMaxMetadata, "metadata entries");
  }

  absl::StatusOr<uint64_t> Count(uint64_t max, absl::string_view what) {
    absl::StatusOr<uint64_t> count =
        cursor_.Integer<uint64_t>(absl::StrCat("the number of ", what));
    if (count.ok() && *count > max) {
      return absl::InvalidArgumentError(
          absl::StrCat("GGUF: claims ", *count, " ", what, "; at most ", max, " make sense"));
    }
    return count;
  }

  absl::Status ParseMetadata() {
    absl::StatusOr<std::string> key = cursor_.String(kMaxKeyBytes, "a metadata key");
    if (!key.ok()) return key.status();
    if (!keys_.insert(*key).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("GGUF: metadata key ", Printable(*key), " appears twice"));
    }
    const std::string what = absl::StrCat("the value of ", Printable(*key));
    absl::StatusOr<uint32_t> type = cursor_.Integer<uint32_t>(what);
    if (!type.ok()) return type.status();
    const bool kept = *key == "general.architecture" || *key == "general.name";
    if (kept && *type == static_cast<uint32_t>(GgufValueType::kString)) {
      absl::StatusOr<std::string> value = cursor_.String(kMaxKeptStringBytes, what);
      if (!value.ok()) return value.status();
      strings_[*key] = *std::move(value);
      return absl::OkStatus();
    }
    const std::optional<uint32_t> width = GgufFixedSize(*type);
    if (!width.has_value()) return SkipValue(*type, 0, what);
    return TakeScalar(*key, *type, *width, what);
  }

  // Keeps unsigned and non-negative integers whose key may be asked for later.
  absl::Status TakeScalar(const std::string& key, uint32_t type, uint32_t width,
                          const std::string& what) {
    unsigned char bytes[8] = {};
    if (absl::Status status = cursor_.Read(bytes, width, what); !status.ok()) return status;
    uint64_t value = 0;
    for (uint32_t i = 0; i < width; ++i) value |= static_cast<uint64_t>(bytes[i]) << (8 * i);
    const auto kind = static_cast<GgufValueType>(type);
    const bool is_signed = kind == GgufValueType::kInt8 || kind == GgufValueType::kInt16 ||
                           kind == GgufValueType::kInt32 || kind == GgufValueType::kInt64;
    const bool is_unsigned = kind == GgufValueType::kUint8 || kind == GgufValueType::kUint16 ||
                             kind == GgufValueType::kUint32 || kind == GgufValueType::kUint64;
    const bool negative = is_signed && (bytes[width - 1] & 0x80) != 0;
    if ((is_unsigned || is_signed) && !negative) integers_[key] = value;
    return absl::OkStatus();
  }

  absl::Status SkipValue(uint32_t type, int depth, const std::string& what) {
    if (const std::optional<uint32_t> width = GgufFixedSize(type); width.has_value()) {
      return cursor_.Skip(*width, what);
    }
    if (type == static_cast<uint32_t>(GgufValueType::kString)) {
      absl::StatusOr<uint64_t> length = cursor_.Integer<uint64_t>(what);
      return length.ok() ? cursor_.Skip(*length, what) : length.status();
    }
    if (type != static_cast<uint32_t>(GgufValueType::kArray)) {
      return absl::InvalidArgumentError(
          absl::StrCat("GGUF: ", what, " has type ", type, ", which does not exist"));
    }
    return SkipArray(depth, what);
  }

  absl::Status SkipArray(int depth, const std::string& what) {
    if (depth >= kMaxArrayDepth) {
      return absl::InvalidArgumentError(
          absl::StrCat("GGUF: ", what, " nests arrays more than ", kMaxArrayDepth, " deep"));
    }
    absl::StatusOr<uint32_t> element = cursor_.Integer<uint32_t>(what);
    if (!element.ok()) return element.status();
    absl::StatusOr<uint64_t> count = cursor_.Integer<uint64_t>(what);
    if (!count.ok()) return count.status();
    if (const std::optional<uint32_t> width = GgufFixedSize(*element); width.has_value()) {
      const std::optional<uint64_t> bytes = Product(*count, *width);
      return bytes.has_value() ? cursor_.Skip(*bytes, what) : cursor_.Truncated(what);
    }
    // Every element takes at least one byte of the file, so the loop ends with the file at the
    // latest.
    for (uint64_t i = 0; i < *count; ++i) {
      if (absl::Status status = SkipValue(*element, depth + 1, what); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

  std::optional<uint64_t> IntegerOf(const std::string& key) const {
    const auto it = integers_.find(key);
    if (it == integers_.end()) return std::nullopt;
    return it->second;
  }

  absl::Status TakeMetadata() {
    info_.architecture = strings_["general.architecture"];
    if (info_.architecture.empty()) {
      return absl::InvalidArgumentError("GGUF: no general.architecture");
    }
    if (const auto it = strings_.find("general.name"); it != strings_.end()) {
      info_.name = it->second;
    }
    if (const auto type = IntegerOf("general.file_type");
        type.has_value() && *type <= std::numeric_limits<uint32_t>::max()) {
      info_.file_type = static_cast<uint32_t>(*type);
    }
    info_.context_length = IntegerOf(info_.architecture + ".context_length");
    info_.block_count = IntegerOf(info_.architecture + ".block_count");
    alignment_ = IntegerOf("general.alignment").value_or(kGgufDefaultAlignment);
    if (alignment_ == 0 || alignment_ > kMaxAlignment || (alignment_ & (alignment_ - 1)) != 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("GGUF: general.alignment is ", alignment_, ", not a small power of two"));
    }
    return absl::OkStatus();
  }

  absl::Status ParseTensor() {
    absl::StatusOr<std::string> name = cursor_.String(kMaxTensorNameBytes, "a tensor's name");
    if (!name.ok()) return name.status();
    const std::string what = absl::StrCat("tensor ", Printable(*name));
    absl::StatusOr<uint32_t> dims = cursor_.Integer<uint32_t>(what);
    if (!dims.ok()) return dims.status();
    if (*dims == 0 || *dims > kMaxDims) {
      return absl::InvalidArgumentError(
          absl::StrCat("GGUF: ", what, " has ", *dims, " dimensions; 1 to ", kMaxDims, " can be"));
    }
    std::optional<uint64_t> elements = 1;
    uint64_t row = 0;
    for (uint32_t i = 0; i < *dims; ++i) {
      absl::StatusOr<uint64_t> dim = cursor_.Integer<uint64_t>(what);
      if (!dim.ok()) return dim.status();
      if (i == 0) row = *dim;
      elements = elements.has_value() && *dim != 0 ? Product(*elements, *dim) : std::nullopt;
    }
    absl::StatusOr<uint32_t> type = cursor_.Integer<uint32_t>(what);
    if (!type.ok()) return type.status();
    absl::StatusOr<uint64_t> offset = cursor_.Integer<uint64_t>(what);
    if (!offset.ok()) return offset.status();
    const std::optional<uint64_t> total =
        elements.has_value() ? Sum(info_.parameter_count, *elements) : std::nullopt;
    if (!total.has_value()) {
      return absl::InvalidArgumentError(absl::StrCat("GGUF: ", what, " has an absurd size"));
    }
    info_.parameter_count = *total;
    elements_by_type_[*type] += *elements;
    return NoteExtent(what, *type, row, *elements, *offset);
  }

  // Remembers the tensor that reaches furthest into the data.
  absl::Status NoteExtent(const std::string& what, uint32_t type, uint64_t row, uint64_t elements,
                          uint64_t offset) {
    const std::optional<GgmlBlock> block = GgmlBlockOf(type);
    if (!block.has_value()) return absl::OkStatus();  // a newer type: its size is unknown here
    if (row % block->elements != 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "GGUF: ", what, " has rows of ", row, " elements, which ", block->name, " cannot hold"));
    }
    const std::optional<uint64_t> bytes = Product(elements / block->elements, block->bytes);
    const std::optional<uint64_t> end = bytes.has_value() ? Sum(offset, *bytes) : std::nullopt;
    if (!end.has_value()) {
      return absl::InvalidArgumentError(absl::StrCat("GGUF: ", what, " has an absurd place"));
    }
    if (*end > data_bytes_) {
      data_bytes_ = *end;
      last_tensor_ = what;
    }
    return absl::OkStatus();
  }

  absl::Status CheckData() {
    const uint64_t position = cursor_.position();
    info_.header_bytes = (position + alignment_ - 1) / alignment_ * alignment_;
    if (extent_ == GgufExtent::kPrefix || info_.tensor_count == 0) return absl::OkStatus();
    const std::optional<uint64_t> end = Sum(info_.header_bytes, data_bytes_);
    if (!end.has_value() || *end > size_) {
      return absl::OutOfRangeError(absl::StrCat(
          "GGUF: truncated: ", last_tensor_, " ends ",
          end.has_value() ? absl::StrCat("at byte ", *end) : std::string("beyond any file"),
          ", the file has ", size_));
    }
    return absl::OkStatus();
  }

  // The file's own word if it is one known here, else the type most of the elements have.
  void NameQuantisation() {
    if (info_.file_type.has_value()) {
      const absl::string_view name = GgufFileTypeName(*info_.file_type);
      info_.quantisation = std::string(name);
    }
    if (!info_.quantisation.empty() || elements_by_type_.empty()) return;
    const auto most =
        std::max_element(elements_by_type_.begin(), elements_by_type_.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    if (const auto block = GgmlBlockOf(most->first); block.has_value()) {
      info_.quantisation = std::string(block->name);
    }
  }

  GgufCursor cursor_;
  const uint64_t size_;
  const GgufExtent extent_;
  GgufInfo info_;
  std::set<std::string> keys_;
  std::map<std::string, std::string> strings_;
  std::map<std::string, uint64_t> integers_;
  std::map<uint32_t, uint64_t> elements_by_type_;
  uint64_t alignment_ = kGgufDefaultAlignment;
  uint64_t data_bytes_ = 0;
  std::string last_tensor_;
};

}  // namespace

absl::StatusOr<GgufInfo> ReadGguf(absl::string_view bytes, GgufExtent extent) {
  MemoryBuffer buffer(bytes);
  std::istream in(&buffer);
  return Parser(in, bytes.size(), extent).Parse();
}

absl::StatusOr<GgufInfo> ReadGgufFile(const std::string& path) {
  std::error_code error;
  const uint64_t size = std::filesystem::file_size(path, error);
  if (error) {
    const std::string text = absl::StrCat("cannot read ", path, ": ", error.message());
    return error == std::errc::no_such_file_or_directory ? absl::NotFoundError(text)
                                                         : absl::UnavailableError(text);
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) return absl::UnavailableError(absl::StrCat("cannot open ", path));
  return Parser(in, size, GgufExtent::kWholeFile).Parse();
}

}  // namespace joulefarm
