// libFuzzer's entry: one target of the program, chosen by --target=NAME.
//
// --list prints the names; --seeds=DIR --target=NAME writes its seeds into DIR, and its words as a
// dictionary to DIR.dict. Options with one dash are libFuzzer's own.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "tests/fuzz/target.h"

namespace joulefarm::fuzz {
namespace {

const Target* chosen = nullptr;

void Write(const Target& target, const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  for (std::size_t i = 0; i < target.seeds.size(); ++i) {
    const Input& seed = target.seeds[i];
    std::ofstream(folder / absl::StrFormat("seed-%03d", i), std::ios::binary)
        .write(reinterpret_cast<const char*>(seed.data()),
               static_cast<std::streamsize>(seed.size()));
  }
  std::ofstream words(folder.string() + ".dict");
  for (const std::string& word : target.words) {
    words << '"';
    for (const char c : word) words << absl::StrFormat("\\x%02x", static_cast<unsigned char>(c));
    words << "\"\n";
  }
}

void Choose(int argc, char** argv) {
  std::string name;
  std::string folder;
  for (int i = 1; i < argc; ++i) {
    absl::string_view option = argv[i];
    if (option == "--list") {
      for (const Target& target : Targets()) std::cout << target.name << "\n";
      std::exit(0);
    }
    if (absl::ConsumePrefix(&option, "--target=")) name = std::string(option);
    if (absl::ConsumePrefix(&option, "--seeds=")) folder = std::string(option);
  }
  for (const Target& target : Targets()) {
    if (target.name == name) chosen = &target;
  }
  if (chosen == nullptr) {
    std::cerr << "say which with --target=NAME; --list names them\n";
    std::exit(2);
  }
  if (folder.empty()) return;
  Write(*chosen, folder);
  std::exit(0);
}

}  // namespace
}  // namespace joulefarm::fuzz

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  joulefarm::fuzz::Choose(*argc, *argv);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    joulefarm::fuzz::chosen->run({data, size});
  } catch (const joulefarm::fuzz::Finding& finding) {
    std::cerr << "FINDING " << finding.what() << std::endl;
    std::abort();
  }
  return 0;
}
