// Detect objects with an exported file in C++, with ONNX Runtime and OpenCV:
//   g++ -std=c++17 -O2 detect.cpp -I$ORT/include -L$ORT/lib -lonnxruntime \
//       $(pkg-config --cflags --libs opencv4) -o detect
//   ./detect model.onnx photo.jpg
// How the image is resized and normalised stands in the file's metadata.
#include <onnxruntime_cxx_api.h>

#include <array>
#include <cstdint>
#include <iostream>
#include <map>
#include <opencv2/opencv.hpp>
#include <string>
#include <vector>

#include "preprocess.hpp"

static std::string metadata(Ort::Session& session, const char* key) {
  Ort::AllocatorWithDefaultOptions allocator;
  auto text = session.GetModelMetadata().LookupCustomMetadataMapAllocated(key, allocator);
  if (!text) throw std::runtime_error(std::string("no ") + key + " in the metadata");
  return text.get();
}

static cv::Mat read_resized(const cv::Mat& image, const Preprocess& p) {
  static const std::map<std::string, int> flags{{"nearest", cv::INTER_NEAREST},
                                                {"bilinear", cv::INTER_LINEAR},
                                                {"bicubic", cv::INTER_CUBIC},
                                                {"area", cv::INTER_AREA},
                                                {"lanczos", cv::INTER_LANCZOS4}};
  const Size size = resized(p, {image.rows, image.cols});
  cv::Mat result;
  cv::resize(image, result, {size.width, size.height}, 0, 0, flags.at(p.interpolation));
  return result;
}

// Planes of the network's channels, padded with zeros at the bottom and on the right.
static std::vector<float> normalised(const cv::Mat& image, const Preprocess& p, Size input) {
  std::vector<float> planes(size_t(3) * input.height * input.width, 0.0f);
  for (int y = 0; y < image.rows; ++y)
    for (int x = 0; x < image.cols; ++x)
      for (int c = 0; c < 3; ++c) {
        const int value = image.at<cv::Vec3b>(y, x)[p.swap_channels ? 2 - c : c];
        planes[(size_t(c) * input.height + y) * input.width + x] =
            float((value - p.mean[c]) / p.deviation[c]);
      }
  return planes;
}

static int detect(const char* model, const char* photo) {
  Ort::Env env(ORT_LOGGING_LEVEL_WARNING, "detect");
  Ort::Session session(env, model, Ort::SessionOptions{});
  const Preprocess p = parse_preprocess(metadata(session, "preprocess"));
  std::cout << "classes: " << metadata(session, "classes") << "\n";
  const cv::Mat image = cv::imread(photo);
  if (image.empty()) throw std::runtime_error(std::string(photo) + " is no image");
  const cv::Mat small = read_resized(image, p);
  const Size input = padded(p, {small.rows, small.cols});
  std::vector<float> planes = normalised(small, p, input);
  std::array<float, 2> sizes{float(small.rows), float(small.cols)};
  const std::array<int64_t, 4> image_shape{1, 3, input.height, input.width};
  const std::array<int64_t, 2> size_shape{1, 2};
  auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  std::array<Ort::Value, 2> inputs{
      Ort::Value::CreateTensor<float>(memory, planes.data(), planes.size(), image_shape.data(), 4),
      Ort::Value::CreateTensor<float>(memory, sizes.data(), sizes.size(), size_shape.data(), 2)};
  const char* input_names[] = {"images", "sizes"};
  const char* output_names[] = {"boxes", "scores", "labels", "num"};
  auto outputs = session.Run(Ort::RunOptions{}, input_names, inputs.data(), 2, output_names, 4);

  const float* boxes = outputs[0].GetTensorData<float>();
  const float* scores = outputs[1].GetTensorData<float>();
  const int64_t* labels = outputs[2].GetTensorData<int64_t>();
  const int64_t num = outputs[3].GetTensorData<int64_t>()[0];
  const float back_x = float(image.cols) / small.cols, back_y = float(image.rows) / small.rows;
  for (int64_t i = 0; i < num && scores[i] >= 0.3f; ++i)  // best first
    std::cout << labels[i] << " " << scores[i] << " [" << boxes[4 * i] * back_x << ", "
              << boxes[4 * i + 1] * back_y << ", " << boxes[4 * i + 2] * back_x << ", "
              << boxes[4 * i + 3] * back_y << "]\n";
  return 0;
}

int main(int argc, char** argv) try {
  if (argc != 3) throw std::runtime_error("usage: detect MODEL.onnx PHOTO");
  return detect(argv[1], argv[2]);
} catch (const std::exception& error) {
  std::cerr << "error: " << error.what() << "\n";
  return 2;
}
