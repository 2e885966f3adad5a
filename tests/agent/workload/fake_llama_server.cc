// A program that behaves like llama-server, well or badly. What it does is named by
// $FAKE_LLAMA_MODE; see main.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

namespace {

using namespace nlohmann::literals;  // NOLINT: for _json_pointer

std::string Mode() {
  const char* mode = getenv("FAKE_LLAMA_MODE");
  return mode != nullptr ? mode : "normal";
}

// Who started the process that serves; 0: nobody that is to end.
std::atomic<pid_t> launcher = 0;

// The launcher ends, and who serves stays.
void EndLauncher() {
  const pid_t pid = launcher.exchange(0);
  if (pid == 0) return;
  kill(pid, SIGTERM);
  while (getppid() == pid) std::this_thread::yield();
}

[[noreturn]] void Hang() {
  while (true) pause();
}

void Send(int fd, const std::string& text) { send(fd, text.data(), text.size(), MSG_NOSIGNAL); }

void SendChunk(int fd, const std::string& text) {
  char size[32];
  snprintf(size, sizeof size, "%zx\r\n", text.size());
  const std::string chunk = size + text + "\r\n";
  if (Mode() == "bytewise") {
    for (const char c : chunk) Send(fd, std::string(1, c));
  } else {
    Send(fd, chunk);
  }
}

nlohmann::json Timings(int predicted, int prompt, int cached) {
  return {{"cache_n", cached},
          {"prompt_n", prompt - cached},
          {"prompt_ms", 4.5},
          {"predicted_n", predicted}};
}

void SendEvent(int fd, const nlohmann::json& event) {
  SendChunk(fd, "data: " + event.dump() + "\n\n");
}

void Misbehave(int fd, const std::string& mode, int index) {
  if (index != 3) return;
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
  if (mode == "garbage_sse") SendChunk(fd, "data: {\"content\": \"\x01 no json\n\n");
  if (mode == "not_sse") SendChunk(fd, "<html>what?</html>\n\n");
  if (mode == "error_event")
    SendEvent(fd, {{"error", {{"code", 500}, {"message", "decode failed"}}}});
}

void Complete(int fd, const nlohmann::json& request) {
  const std::string mode = Mode();
  const int n_predict = request.value("n_predict", 1);
  const int n_prompt = static_cast<int>(request.value("prompt", "").size());
  const int cached = request.value("cache_prompt", true) ? n_prompt - 1 : 0;
  if (mode == "refuse") {
    const std::string body =
        R"({"error":{"code":400,"message":"request (9001 tokens) exceeds the available context size"}})";
    return Send(fd,
                "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: " +
                    std::to_string(body.size()) + "\r\n\r\n" + body);
  }
  if (mode == "garbage_http") return Send(fd, "\x7f\x45\x4c\x46 this is not HTTP\r\n\r\n");
  Send(fd,
       "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int index = 1; index <= n_predict && mode != "no_tokens"; ++index) {
    Misbehave(fd, mode, index);
    if (mode == "truncated" && index == 3) return;
    if (mode == "slow") std::this_thread::sleep_for(std::chrono::milliseconds(20));
    if (mode == "held_back" && index % 3 == 2) continue;
    const int said = mode == "backward" && index == 3 ? 1 : index;
    SendEvent(fd, {{"content", "x"},
                   {"tokens", {100 + index}},
                   {"stop", false},
                   {"tokens_evaluated", n_prompt},
                   {"timings", Timings(said, n_prompt, cached)}});
  }
  SendEvent(fd, {{"content", ""},
                 {"tokens", nlohmann::json::array()},
                 {"stop", true},
                 {"stop_type", "limit"},
                 {"tokens_evaluated", n_prompt},
                 {"timings", Timings(n_predict, n_prompt, cached)}});
  Send(fd, "0\r\n\r\n");
}

// The same over OpenAI's API.
void CompleteOpenAi(int fd, const nlohmann::json& request, bool chat) {
  const std::string mode = Mode();
  const int max_tokens = mode == "flood" ? 3000 : request.value("max_tokens", 1);
  EndLauncher();
  Send(fd,
       "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
  const auto choice = [&](const std::string& text, const nlohmann::json& finish) {
    nlohmann::json one = {{"index", 0}, {"finish_reason", finish}};
    if (chat) {
      one["delta"] = {{"content", text}};
    } else {
      one["text"] = text;
    }
    return nlohmann::json{{"model", request.value("model", "none")}, {"choices", {one}}};
  };
  if (chat) {
    SendEvent(fd, {{"choices", {{{"delta", {{"role", "assistant"}, {"content", nullptr}}}}}}});
    if (mode == "slow") std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  for (int index = 1; index <= max_tokens && mode != "no_tokens"; ++index) {
    Misbehave(fd, mode, index);
    if (mode == "truncated" && index == 3) return;
    if (mode == "slow") std::this_thread::sleep_for(std::chrono::milliseconds(20));
    SendEvent(fd, choice("x", nullptr));
  }
  SendEvent(fd, choice("", "length"));
  if (mode != "no_usage" && request.value("/stream_options/include_usage"_json_pointer, false)) {
    const int cached = mode == "cached" ? 2 : 0;
    SendEvent(fd, {{"choices", nlohmann::json::array()},
                   {"usage",
                    {{"prompt_tokens", 5},
                     {"completion_tokens", max_tokens},
                     {"prompt_tokens_details", {{"cached_tokens", cached}}}}}});
  }
  if (mode != "no_done") SendChunk(fd, "data: [DONE]\n\n");
  Send(fd, "0\r\n\r\n");
}

void Serve(int fd, std::chrono::steady_clock::time_point ready) {
  const std::string mode = Mode();
  std::string request;
  char buffer[4096];
  std::size_t head = 0;
  while ((head = request.find("\r\n\r\n")) == std::string::npos) {
    const ssize_t n = recv(fd, buffer, sizeof buffer, 0);
    if (n <= 0) return;
    request.append(buffer, static_cast<std::size_t>(n));
  }
  if (request.starts_with("GET /v1/models") && mode == "no_models") {
    return Send(fd, "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}");
  }
  if (request.starts_with("GET /v1/models") && mode != "hang_load") {
    const std::string body = R"({"object":"list","data":[{"id":"the-one"}]})";
    return Send(fd, "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) +
                        "\r\n\r\n" + body);
  }
  if (request.starts_with("GET /health") || request.starts_with("GET /v1/models")) {
    if (mode == "garbage_health") return Send(fd, "SSH-2.0-fake\r\n");
    const bool ok = std::chrono::steady_clock::now() >= ready && mode != "hang_load";
    return Send(fd, std::string("HTTP/1.1 ") + (ok ? "200 OK" : "503 Service Unavailable") +
                        "\r\nContent-Length: 2\r\n\r\n{}");
  }
  const std::size_t length_at = request.find("Content-Length: ");
  const std::size_t length =
      length_at == std::string::npos ? 0 : std::stoul(request.substr(length_at + 16));
  while (request.size() < head + 4 + length) {
    const ssize_t n = recv(fd, buffer, sizeof buffer, 0);
    if (n <= 0) return;
    request.append(buffer, static_cast<std::size_t>(n));
  }
  const nlohmann::json body = nlohmann::json::parse(request.substr(head + 4));
  if (const char* kept = getenv("FAKE_LLAMA_STATE"); kept != nullptr && request[6] == 'v')
    std::ofstream(std::filesystem::path(kept) / "request.json") << body.dump();
  if (request.starts_with("POST /v1/completions")) return CompleteOpenAi(fd, body, false);
  if (request.starts_with("POST /v1/chat/completions")) return CompleteOpenAi(fd, body, true);
  Complete(fd, body);
}

int Listen(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || listen(fd, 64) != 0) {
    std::cerr << "couldn't bind HTTP server socket, port: " << port << std::endl;
    _exit(1);
  }
  return fd;
}

// True the first time only, across processes.
bool FirstTime() {
  const std::filesystem::path mark = std::filesystem::path(getenv("FAKE_LLAMA_STATE")) / "was_here";
  if (std::filesystem::exists(mark)) return false;
  std::ofstream{mark};
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = Mode();
  int port = 0;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--version") {
      if (mode == "hang_version") Hang();
      if (mode == "broken") return 127;
      std::cerr << "version: 9999 (fake)\nbuilt for tests\n";
      return 0;
    }
    if (argument == "--port" && i + 1 < argc) port = std::stoi(argv[i + 1]);
  }
  std::cerr << "fake: loading" << std::endl;
  if (mode == "crash_at_load") {
    std::cerr << "fake: invalid model file" << std::endl;
    return 3;
  }
  if (mode == "missing_library") return 127;
  if (mode == "oom_at_load") {
    std::cerr << "terminate called after throwing an instance of 'std::bad_alloc'" << std::endl;
    abort();
  }
  if (mode == "port_taken" || (mode == "port_taken_once" && FirstTime())) {
    std::cerr << "couldn't bind HTTP server socket, hostname: 127.0.0.1, port: " << port
              << std::endl;
    return 1;
  }
  if (mode == "ignores_term") signal(SIGTERM, SIG_IGN);
  if (mode == "leaves_child" && fork() == 0) Hang();
  if (mode == "hands_over") {
    const pid_t self = getpid();
    if (fork() != 0) Hang();
    launcher = self;
  }
  const int listener = Listen(port);
  const auto ready = std::chrono::steady_clock::now() + std::chrono::milliseconds(30);
  while (true) {
    const int fd = accept(listener, nullptr, nullptr);
    if (fd < 0) continue;
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    std::thread([fd, ready] {
      Serve(fd, ready);
      close(fd);
    }).detach();
  }
}
