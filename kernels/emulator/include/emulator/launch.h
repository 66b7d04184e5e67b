// launch.h -- describes a kernel to Python and calls it with arguments that Python has packed.
#pragma once

namespace emu {

template <class T>
constexpr uint8_t kind_of() {  // NumPy's kind characters; 'v' for void, 'V' for anything else
  using V = std::remove_cv_t<T>;
  if constexpr (std::is_void_v<V>) return 'v';
  else if constexpr (std::is_same_v<V, bool>) return 'b';
  else if constexpr (std::is_floating_point_v<V>) return 'f';
  else if constexpr (std::is_integral_v<V>) return std::is_signed_v<V> ? 'i' : 'u';
  else return 'V';
}

template <class T>
constexpr Parameter describe_parameter() {
  Parameter p = {sizeof(T), alignof(T), std::is_pointer_v<T>, kind_of<T>(), sizeof(T)};
  if constexpr (std::is_pointer_v<T>) {
    using Pointee = std::remove_pointer_t<T>;
    p.kind = kind_of<Pointee>();
    if constexpr (std::is_void_v<Pointee> || std::is_function_v<Pointee>) p.value_size = 0;
    else p.value_size = sizeof(Pointee);
  }
  return p;
}

template <auto KERNEL, class Signature>
struct Entry;
template <auto KERNEL, class... Parameters>
struct Entry<KERNEL, void (*)(Parameters...)> {
  static_assert(sizeof...(Parameters) <= 64, "a kernel has at most 64 parameters here");

  template <size_t... I>
  __attribute__((no_sanitize("thread", "undefined"))) static void call(void** arguments, std::index_sequence<I...>) {
    KERNEL(*static_cast<std::remove_cv_t<std::remove_reference_t<Parameters>>*>(arguments[I])...);
  }
  __attribute__((no_sanitize("thread", "undefined"))) static void run(void** arguments) { call(arguments, std::index_sequence_for<Parameters...>{}); }

  static const Kernel* describe() {
    static const Kernel kernel = {run, reinterpret_cast<const void*>(KERNEL), sizeof...(Parameters), {describe_parameter<std::remove_cv_t<Parameters>>()...}};
    return &kernel;
  }
};

}  // namespace emu
