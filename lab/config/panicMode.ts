/** In which guests an oops ends in a panic while tests run (`vexlab:panicOnOops`). */
export const panicModes = ["forks", "always", "never"] as const;
export type PanicMode = (typeof panicModes)[number];
