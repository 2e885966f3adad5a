// Writes a GGUF version 3 file as a stream: first everything that describes the model, then the
// tensors' data in the order they were declared, without ever holding the data in memory.
//
// Threads: one writer belongs to one thread. Ownership: the stream stays the caller's and must
// outlive the writer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/gguf/gguf_format.h"

namespace joulefarm {

class GgufWriter {
 public:
  // Metadata, in the order it is to appear. All of it goes before WriteHeader.
  void AddString(absl::string_view key, absl::string_view value);
  void AddUint32(absl::string_view key, uint32_t value);
  void AddFloat(absl::string_view key, float value);
  void AddBool(absl::string_view key, bool value);  // NOLINT: the value is the datum itself
  void AddStrings(absl::string_view key, const std::vector<std::string>& values);
  void AddFloats(absl::string_view key, const std::vector<float>& values);
  void AddInts(absl::string_view key, const std::vector<int32_t>& values);

  // Declares a tensor; `dims` innermost (row length) first, 1 to 4 of them, none zero.
  void AddTensor(absl::string_view name, const std::vector<uint64_t>& dims, GgmlType type);

  // Writes the header to `out`. InvalidArgument for a tensor with impossible dims, Unavailable when
  // the stream fails.
  absl::Status WriteHeader(std::ostream& out);

  // Appends data of the current tensor; a tensor is complete once its size is reached, which begins
  // the next one. `size` must not reach past the current tensor. OutOfRange when it does,
  // Unavailable when the stream fails.
  absl::Status AppendData(std::ostream& out, const void* data, size_t size);

  // FailedPrecondition, naming the tensor, when data is still missing.
  absl::Status Finish() const;

 private:
  struct Tensor {
    std::string name;
    std::vector<uint64_t> dims;
    GgmlType type;
    uint64_t size_bytes;
  };

  void BeginValue(absl::string_view key, GgufValueType type);
  void BeginArray(absl::string_view key, GgufValueType element, size_t count);

  std::string metadata_;
  uint64_t metadata_count_ = 0;
  std::vector<Tensor> tensors_;
  size_t current_tensor_ = 0;
  uint64_t current_written_ = 0;
};

}  // namespace joulefarm
