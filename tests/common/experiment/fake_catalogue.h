// A catalogue of made-up artifacts.
//
// Threads: one. Ownership: values.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/experiment/catalogue.h"
#include "common/sha256/sha256.h"

namespace joulefarm {

class FakeCatalogue : public Catalogue {
 public:
  // Models tiny-f16, tiny-q8_0, tiny-q4_k_m; texts two-prompts (good) and broken.
  FakeCatalogue() {
    AddModel("tiny-f16", "F16");
    AddModel("tiny-q8_0", "Q8_0");
    AddModel("tiny-q4_k_m", "Q4_K_M");
    texts["two-prompts"] = "{\"text\": \"One\"}\n\n{\"text\": \"Two\", \"id\": 2}\n";
    texts["broken"] = "{\"text\": \"One\"}\nnot json\n";
  }

  void AddModel(const std::string& name, const std::string& quant) {
    v1::ModelRef& model = models[name];
    model.set_name(name);
    model.set_sha256(Sha256Hex(name));
    model.set_size_bytes(1000);
    model.set_quant(quant);
  }

  absl::StatusOr<v1::ModelRef> Model(absl::string_view name) const override {
    const auto it = models.find(std::string(name));
    if (it != models.end()) return it->second;
    if (texts.count(std::string(name)) > 0) {
      return absl::InvalidArgumentError("it is not a GGUF file; push the model file itself");
    }
    return absl::NotFoundError("no such artifact");
  }

  absl::StatusOr<std::string> Text(absl::string_view name) const override {
    const auto it = texts.find(std::string(name));
    if (it != texts.end()) return it->second;
    return absl::NotFoundError("no such artifact");
  }

  std::vector<std::string> Names() const override {
    std::vector<std::string> names;
    for (const auto& [name, model] : models) names.push_back(name);
    for (const auto& [name, text] : texts) names.push_back(name);
    return names;
  }

  std::map<std::string, v1::ModelRef> models;
  std::map<std::string, std::string> texts;
};

}  // namespace joulefarm
