#include "common/gguf/gguf_writer.h"

#include <cstring>

#include "absl/strings/str_cat.h"

namespace joulefarm {
namespace {

template <typename T>
void Put(std::string& out, T value) {
  // GGUF is little-endian whatever the host is.
  for (size_t i = 0; i < sizeof(T); ++i) {
    out.push_back(static_cast<char>((value >> (8 * i)) & 0xff));
  }
}

void PutFloat(std::string& out, float value) {
  uint32_t bits = 0;
  static_assert(sizeof(bits) == sizeof(value));
  std::memcpy(&bits, &value, sizeof(bits));
  Put(out, bits);
}

void PutString(std::string& out, absl::string_view value) {
  Put<uint64_t>(out, value.size());
  out.append(value.data(), value.size());
}

uint64_t PaddingAfter(uint64_t size_bytes) {
  const uint64_t rest = size_bytes % kGgufDefaultAlignment;
  return rest == 0 ? 0 : kGgufDefaultAlignment - rest;
}

absl::Status WriteBytes(std::ostream& out, const void* data, size_t size) {
  if (!out.write(static_cast<const char*>(data), static_cast<std::streamsize>(size))) {
    return absl::UnavailableError("GGUF: writing failed (disk full?)");
  }
  return absl::OkStatus();
}

}  // namespace

void GgufWriter::BeginValue(absl::string_view key, GgufValueType type) {
  PutString(metadata_, key);
  Put(metadata_, static_cast<uint32_t>(type));
  ++metadata_count_;
}

void GgufWriter::BeginArray(absl::string_view key, GgufValueType element, size_t count) {
  BeginValue(key, GgufValueType::kArray);
  Put(metadata_, static_cast<uint32_t>(element));
  Put<uint64_t>(metadata_, count);
}

void GgufWriter::AddString(absl::string_view key, absl::string_view value) {
  BeginValue(key, GgufValueType::kString);
  PutString(metadata_, value);
}

void GgufWriter::AddUint32(absl::string_view key, uint32_t value) {
  BeginValue(key, GgufValueType::kUint32);
  Put(metadata_, value);
}

void GgufWriter::AddFloat(absl::string_view key, float value) {
  BeginValue(key, GgufValueType::kFloat32);
  PutFloat(metadata_, value);
}

void GgufWriter::AddBool(absl::string_view key, bool value) {
  BeginValue(key, GgufValueType::kBool);
  metadata_.push_back(value ? 1 : 0);
}

void GgufWriter::AddStrings(absl::string_view key, const std::vector<std::string>& values) {
  BeginArray(key, GgufValueType::kString, values.size());
  for (const std::string& value : values) PutString(metadata_, value);
}

void GgufWriter::AddFloats(absl::string_view key, const std::vector<float>& values) {
  BeginArray(key, GgufValueType::kFloat32, values.size());
  for (float value : values) PutFloat(metadata_, value);
}

void GgufWriter::AddInts(absl::string_view key, const std::vector<int32_t>& values) {
  BeginArray(key, GgufValueType::kInt32, values.size());
  for (int32_t value : values) Put(metadata_, static_cast<uint32_t>(value));
}

void GgufWriter::AddTensor(absl::string_view name, const std::vector<uint64_t>& dims,
                           GgmlType type) {
  uint64_t size_bytes = type == GgmlType::kF32 ? 4 : 2;
  for (uint64_t dim : dims) size_bytes *= dim;
  tensors_.push_back({std::string(name), dims, type, size_bytes});
}

absl::Status GgufWriter::WriteHeader(std::ostream& out) {
  std::string header(kGgufMagic, sizeof(kGgufMagic));
  Put<uint32_t>(header, kGgufVersionMax);
  Put<uint64_t>(header, tensors_.size());
  Put<uint64_t>(header, metadata_count_);
  header += metadata_;
  uint64_t offset = 0;
  for (const Tensor& tensor : tensors_) {
    if (tensor.dims.empty() || tensor.dims.size() > 4 || tensor.size_bytes == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("GGUF: tensor ", tensor.name, " needs 1 to 4 dimensions, none of them 0"));
    }
    PutString(header, tensor.name);
    Put<uint32_t>(header, static_cast<uint32_t>(tensor.dims.size()));
    for (uint64_t dim : tensor.dims) Put(header, dim);
    Put(header, static_cast<uint32_t>(tensor.type));
    Put(header, offset);
    offset += tensor.size_bytes + PaddingAfter(tensor.size_bytes);
  }
  header.append(PaddingAfter(header.size()), '\0');
  return WriteBytes(out, header.data(), header.size());
}

absl::Status GgufWriter::AppendData(std::ostream& out, const void* data, size_t size) {
  if (size == 0) return absl::OkStatus();
  if (current_tensor_ == tensors_.size()) {
    return absl::OutOfRangeError("GGUF: data after the last tensor");
  }
  const Tensor& tensor = tensors_[current_tensor_];
  if (size > tensor.size_bytes - current_written_) {
    return absl::OutOfRangeError(absl::StrCat("GGUF: too much data for tensor ", tensor.name));
  }
  if (absl::Status status = WriteBytes(out, data, size); !status.ok()) return status;
  current_written_ += size;
  if (current_written_ < tensor.size_bytes) return absl::OkStatus();
  ++current_tensor_;
  current_written_ = 0;
  const std::string padding(PaddingAfter(tensor.size_bytes), '\0');
  return WriteBytes(out, padding.data(), padding.size());
}

absl::Status GgufWriter::Finish() const {
  if (current_tensor_ == tensors_.size()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("GGUF: tensor ", tensors_[current_tensor_].name, " has no complete data"));
}

}  // namespace joulefarm
