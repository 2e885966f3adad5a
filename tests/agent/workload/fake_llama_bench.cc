// A program that behaves like llama-bench, well or badly. What it does is named by
// $FAKE_BENCH_MODE; see main.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <chrono>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

namespace {

std::string Mode() {
  const char* mode = getenv("FAKE_BENCH_MODE");
  return mode != nullptr ? mode : "normal";
}

[[noreturn]] void Hang() {
  while (true) pause();
}

void Misbehave(const char* kind, int repetition) {
  const std::string mode = Mode();
  if (strcmp(kind, "generation") != 0 || repetition != 1) return;
  if (mode == "crash_mid") {
    std::cerr << "fake: about to crash" << std::endl;
    signal(SIGSEGV, SIG_DFL);  // a sanitizer would turn it into an exit code
    raise(SIGSEGV);
  }
  if (mode == "hang_mid") Hang();
  if (mode == "oom_mid") {
    std::cerr
        << "ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size 99999"
        << std::endl;
    _exit(1);
  }
}

struct Options {
  int n_prompt = 512;
  int n_gen = 128;
  int n_depth = 0;
  int repetitions = 5;
  int tests() const { return (n_prompt > 0 ? 1 : 0) + (n_gen > 0 ? 1 : 0); }
};

void Say(int test, const Options& options, const std::string& text) {
  if (Mode() == "no_progress") return;
  fprintf(stderr, "llama-bench: benchmark %d/%d: %s\n", test, options.tests(), text.c_str());
}

void Measure(const char* kind, int test, const Options& options) {
  Say(test, options, "starting");
  nlohmann::json samples = nlohmann::json::array();
  for (int i = 0; i < options.repetitions; ++i) {
    const std::string place =
        " run " + std::to_string(i + 1) + "/" + std::to_string(options.repetitions);
    if (options.n_depth > 0) Say(test, options, "depth" + place + (i > 0 ? " (cached)" : ""));
    const auto start = std::chrono::steady_clock::now();
    Say(test, options, kind + place);
    Misbehave(kind, i);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    const auto took = std::chrono::steady_clock::now() - start;
    samples.push_back(std::chrono::duration_cast<std::chrono::nanoseconds>(took).count());
  }
  if (Mode() == "few_samples") samples.erase(0);
  if (Mode() == "too_long") samples[0] = samples[0].get<std::int64_t>() + 150'000'000;
  if (Mode() == "for_ever") samples[0] = INT64_MAX;
  const bool prompt = strcmp(kind, "prompt") == 0;
  const int offset = Mode() == "other_test" ? 1 : 0;
  const nlohmann::json result = {{"build_commit", "fake"},
                                 {"build_number", 77},
                                 {"n_prompt", prompt ? options.n_prompt + offset : 0},
                                 {"n_gen", prompt ? 0 : options.n_gen},
                                 {"n_depth", options.n_depth},
                                 {"avg_ns", 1},
                                 {"samples_ns", samples}};
  std::cout << result.dump() << std::endl;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = Mode();
  Options options;
  const std::map<std::string, int*> numbers = {{"-p", &options.n_prompt},
                                               {"-n", &options.n_gen},
                                               {"-d", &options.n_depth},
                                               {"-r", &options.repetitions}};
  for (int i = 1; i + 1 < argc; ++i) {
    const auto number = numbers.find(argv[i]);
    if (number != numbers.end()) *number->second = atoi(argv[i + 1]);
  }
  if (getenv("LLAMA_ARG_THREADS") != nullptr) {
    std::cerr << "fake: options of the environment came through" << std::endl;
    return 1;
  }
  if (mode == "exit_load") {
    std::cerr << "fake: failed to load model" << std::endl;
    return 1;
  }
  if (mode == "not_executable") return 126;
  if (mode == "hang_load") Hang();
  if (mode == "garbage") {
    std::cout << "| model | size |" << std::endl;
    return 0;
  }
  // Long enough for what it will say.
  if (mode == "too_long") std::this_thread::sleep_for(std::chrono::milliseconds(400));
  int test = 0;
  if (options.n_prompt > 0) Measure("prompt", ++test, options);
  if (options.n_gen > 0) Measure("generation", ++test, options);
  return 0;
}
