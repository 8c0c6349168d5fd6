// The "preprocess" entry of an exported file's metadata, and the sizes that follow from it.
// Needs the standard library alone; tests/deploy/test_cpp.py compares it with Python.
#pragma once

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

struct Preprocess {
  std::vector<double> scale;  // (long side, short side), or (width, height); empty keeps the size
  bool keep_ratio = true, swap_channels = false;
  std::vector<double> mean, deviation;  // per channel of the network, over 0..255
  int pad_divisor = 1;
  std::string interpolation = "bilinear";
};

// The text of a value in a flat JSON object whose values hold no objects.
inline std::string json_value(const std::string& json, const std::string& key) {
  const auto found = json.find("\"" + key + "\"");
  if (found == std::string::npos) throw std::runtime_error("no " + key + " in the metadata");
  auto start = json.find(':', found) + 1;
  while (start < json.size() && json[start] == ' ') ++start;
  const auto end = json[start] == '[' ? json.find(']', start) + 1 : json.find_first_of(",}", start);
  if (end == std::string::npos) throw std::runtime_error(key + " is damaged");
  return json.substr(start, end - start);
}

inline std::vector<double> json_numbers(const std::string& text) {
  std::vector<double> numbers;
  for (size_t at = 0; at < text.size();) {
    at = text.find_first_of("-0123456789", at);
    if (at == std::string::npos) break;
    size_t length = 0;
    numbers.push_back(std::stod(text.substr(at), &length));
    at += length;
  }
  return numbers;
}

inline Preprocess parse_preprocess(const std::string& json) {
  Preprocess p;
  p.scale = json_numbers(json_value(json, "scale"));
  p.keep_ratio = json_value(json, "keep_ratio") == "true";
  p.swap_channels = json_value(json, "swap_channels") == "true";
  p.mean = json_numbers(json_value(json, "mean"));
  p.deviation = json_numbers(json_value(json, "std"));
  p.pad_divisor = int(json_numbers(json_value(json, "pad_divisor")).at(0));
  p.interpolation = json_value(json, "interpolation");
  p.interpolation = p.interpolation.substr(1, p.interpolation.size() - 2);
  if (p.mean.size() != 3 || p.deviation.size() != 3 || p.pad_divisor < 1)
    throw std::runtime_error("the metadata is damaged");
  return p;
}

struct Size {
  int height, width;
};

// Of an image after resizing.
inline Size resized(const Preprocess& p, Size size) {
  if (p.scale.empty()) return size;
  if (!p.keep_ratio) return {int(p.scale[1]), int(p.scale[0])};
  const auto [shorter, longer] = std::minmax(p.scale[0], p.scale[1]);
  const double factor = std::min(longer / std::max(size.height, size.width),
                                 shorter / std::min(size.height, size.width));
  return {std::max(int(size.height * factor + 0.5), 1), std::max(int(size.width * factor + 0.5), 1)};
}

// Of the network's input.
inline Size padded(const Preprocess& p, Size size) {
  const int d = p.pad_divisor;
  return {(size.height + d - 1) / d * d, (size.width + d - 1) / d * d};
}
