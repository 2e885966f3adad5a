// A model file that says a bit of everything and has 32 parameters.
//
// Threads: any. Ownership: values.
#pragma once

#include <sstream>
#include <string>

#include "common/gguf/gguf_writer.h"

namespace joulefarm {

// Empty where the writer refuses.
inline std::string SmallModel() {
  GgufWriter writer;
  writer.AddString("general.architecture", "llama");
  writer.AddString("general.name", "small one");
  writer.AddUint32("general.file_type", 1);
  writer.AddUint32("llama.context_length", 2048);
  writer.AddUint32("llama.block_count", 6);
  writer.AddBool("tokenizer.ggml.add_bos_token", true);
  writer.AddStrings("tokenizer.ggml.tokens", {"a", "bc", ""});
  writer.AddFloats("tokenizer.ggml.scores", {0.0F, -1.0F, 2.5F});
  writer.AddInts("tokenizer.ggml.token_type", {1, 1, 3});
  writer.AddTensor("output_norm.weight", {8}, GgmlType::kF32);
  writer.AddTensor("token_embd.weight", {8, 3}, GgmlType::kF16);
  std::ostringstream out;
  const std::string data(48, '\x3c');
  const bool written = writer.WriteHeader(out).ok() &&
                       writer.AppendData(out, data.data(), 32).ok() &&
                       writer.AppendData(out, data.data(), 48).ok() && writer.Finish().ok();
  return written ? out.str() : std::string();
}

}  // namespace joulefarm
