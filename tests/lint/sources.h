// The project's own files, for tests that look at source text.
//
// Threads: pure functions. Ownership: values.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace joulefarm::lint {

inline std::filesystem::path Root() { return JOULEFARM_SOURCE_DIR; }

inline std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

inline std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// Paths relative to the root, sorted, of files below `folder` with one of the extensions.
inline std::vector<std::string> Files(const std::string& folder,
                                      const std::vector<std::string>& extensions) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(Root() / folder)) {
    if (!entry.is_regular_file()) continue;
    const std::string extension = entry.path().extension().string();
    if (std::find(extensions.begin(), extensions.end(), extension) == extensions.end()) continue;
    files.push_back(std::filesystem::relative(entry.path(), Root()).string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace joulefarm::lint
