export interface Answer {
  question: string;
  answer: string;
}

/** The questions that users of such scores ask first, answered where the scores stand. */
export const readingGuide: readonly Answer[] = [
  {
    question: 'What is LogME?',
    answer:
      'How well a linear model on frozen features explains the labels, after averaging over all such models: the largest log evidence per sample, in nats, averaged over the classes (or the target’s columns). It is computed without training. Higher promises better transfer.',
  },
  {
    question: 'Is 0.76 good?',
    answer:
      'By itself no number is. The level depends on the number of classes, their balance, the samples and the unit, so a value can be held only against others of the same table: other layers, other models, and above all the controls. Random weights show what the architecture gives without pre-training, shuffled labels what chance gives. A gap to them that is large beside the intervals is good news; the order of models is what the score is for.',
  },
  {
    question: 'Which split should be scored?',
    answer:
      'The data you would train on. The labels of the test set are not needed and should stay unseen if results on it are to be reported. All models of a table are scored on the same utterances; scores of different data, splits or label columns cannot be compared.',
  },
  {
    question: 'May widths differ?',
    answer:
      'Yes. The evidence averages over the weights and so charges for dimensions that do not help; a model with 1024 dimensions has no automatic advantage over one with 768. Care is due where there are fewer samples (n) than dimensions (D): then the random-weights control of the same width is the fair yardstick.',
  },
  {
    question: 'Which layer is layer i?',
    answer:
      'Hugging Face’s hidden_states[i]: 0 is the input of the first block, i the output of block i; L blocks give L + 1 layers. Where fine-tuning keeps the whole model, the best layer tells what the model knows; where layers above are cut off, it tells where to cut.',
  },
  {
    question: 'Frame or utterance?',
    answer:
      'By frame every frame is a sample, taken as independent of its neighbours (temporal independence): right for labels that change within an utterance, such as phones. By utterance the mean over the frames is one sample: right for speakers, emotions or whole commands. Values of the two are not comparable.',
  },
  {
    question: 'What are the intervals?',
    answer:
      '95 % intervals from leaving out groups of utterances in turn (jackknife), because frames of one utterance are not independent. Two scores are called distinguishable when the interval of their difference, over the same groups, leaves out zero. The best of many layers or models is a little flattered by having been picked.',
  },
];
